package sample

import (
	"slices"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"none", nil, 0},
		{"one", []float64{4}, 4},
		{"odd, out of order", []float64{9, 1, 5}, 5},
		{"even", []float64{1, 9, 3, 5}, 4},
		{"one disturbed round", []float64{100, 101, 102, 103, 9000}, 102},
	} {
		before := slices.Clone(c.values)
		if got := Median(c.values); got != c.want {
			t.Errorf("%s: Median = %v, want %v", c.name, got, c.want)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("%s: Median reordered its argument", c.name)
		}
	}
	if got := Median([]time.Duration{1, 4}); got != 2 {
		t.Errorf("Median of durations = %d, want 2", got)
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, c := range []struct {
		name   string
		sorted []int
		q      float64
		want   int
	}{
		{"none", nil, 0.5, 0},
		{"one", []int{7}, 0.99, 7},
		{"p50 of 1..100", hundred, 0.5, 50},
		{"p99 of 1..100", hundred, 0.99, 99},
		{"p100 of 1..100", hundred, 1, 100},
		{"p50 of three", []int{1, 2, 3}, 0.5, 2},
		{"p99 of ten is the worst", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.99, 10},
	} {
		if got := Quantile(c.sorted, c.q); got != c.want {
			t.Errorf("%s: Quantile = %d, want %d", c.name, got, c.want)
		}
	}
}

// Package sample holds the order statistics that the bench reports: medians of rounds and quantiles of
// latencies. Nothing here averages: one disturbed round must not move a figure.
package sample

import (
	"cmp"
	"slices"
)

// Number is anything the bench measures.
type Number interface {
	~int | ~int64 | ~uint64 | ~float64
}

// Median is the middle value, or the mean of the two middle ones. It is 0 for no values and leaves them in
// their order.
func Median[T Number](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return sorted[middle-1] + (sorted[middle]-sorted[middle-1])/2
}

// Quantile is the nearest-rank quantile q (0 < q <= 1) of values sorted in ascending order; 0 for no values.
func Quantile[T cmp.Ordered](sorted []T, q float64) T {
	var none T
	if len(sorted) == 0 {
		return none
	}
	rank := int(q * float64(len(sorted)))
	if float64(rank) < q*float64(len(sorted)) {
		rank++
	}
	return sorted[min(max(rank, 1), len(sorted))-1]
}

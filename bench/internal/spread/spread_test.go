package spread

import (
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	var each []time.Duration
	for n := range 200 {
		each = append(each, time.Duration(200-n)*time.Millisecond)
	}
	f := Figures{Validators: 1000, Rounds: 2, Each: Of(each), CPU: 62 * time.Microsecond}
	if want := (Times{100 * time.Millisecond, 198 * time.Millisecond, 200 * time.Millisecond}); f.Each != want {
		t.Errorf("the times are %v, not %v", f.Each, want)
	}
	if bar := f.Bar(); bar.Figure != 198 || bar.Limit != 1000 {
		t.Errorf("the bar is %+v", bar)
	}
	if table := f.Table(); len(table.Rows) != 3 || table.Rows[1][2] != "198" || len(table.Rows[0]) != len(table.Head) {
		t.Errorf("the table is %+v", table)
	}
}

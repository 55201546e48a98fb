package main

import (
	"math"
	"testing"
	"time"
)

func TestQuantilesAreNotRoundedDown(t *testing.T) {
	for _, one := range []struct {
		count int
		share float64
		want  time.Duration
	}{{1, 0.99, 1}, {50, 0.99, 50}, {100, 0.99, 99}, {101, 0.99, 100}, {4, 0.5, 2}, {5, 0.5, 3}, {5, 1, 5}} {
		values := make([]time.Duration, one.count)
		for at := range values {
			values[at] = time.Duration(at + 1)
		}
		if got := nearestRank(values, one.share); got != one.want {
			t.Errorf("share %v of 1 to %d: %d, not %d", one.share, one.count, got, one.want)
		}
	}
}

func TestQuantilesSayOfHowMany(t *testing.T) {
	result := numbers{}
	addQuantiles(result, []time.Duration{3 * time.Second, time.Second}, "Ms", time.Millisecond)
	if result["n"] != 2 || result["p50Ms"] != 1_000 || result["p99Ms"] != 3_000 {
		t.Errorf("%v", result)
	}
}

func TestSpeedBesideTheSlowestTellsStarvedFromStoodStill(t *testing.T) {
	lives := make([]life, 200)
	for at := range lives {
		lives[at] = life{time.Second, 100 << 20}
	}
	lives[7] = life{4 * time.Second, 400 << 20} // others went on as ever
	lives[9] = life{4 * time.Second, 40 << 20}
	// p99 of 200 is the third from the end: one of those that took a second.
	if got, want := slowestSpeed(lives), 540.0/9; math.Abs(got-want) > 1e-9 {
		t.Errorf("%v MiB/s, not %v", got, want)
	}
	if got := slowestSpeed([]life{{time.Second, 1 << 20}}); got != 1 {
		t.Errorf("of one block: %v MiB/s", got)
	}
}

package main

import (
	"math"
	"slices"
	"time"
)

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// addQuantiles adds how many there are, p50, p99 and max, with the unit's name behind.
func addQuantiles(result numbers, took []time.Duration, suffix string, unit time.Duration) {
	result["n"] = float64(len(took))
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	in := func(share float64) float64 { return float64(nearestRank(took, share)) / float64(unit) }
	result["p50"+suffix], result["p99"+suffix], result["max"+suffix] = in(0.5), in(0.99), in(1)
}

// nearestRank is the least of the values that at least this share of them do not exceed: of few
// values p99 is the largest, and never one that too many exceed. They are sorted, and at least one.
func nearestRank(sorted []time.Duration, share float64) time.Duration {
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}

package main

import (
	"cmp"
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
	return sorted[rankOf(len(sorted), share)]
}

// rankOf is the index of that value among so many.
func rankOf(count int, share float64) int {
	return max(0, int(math.Ceil(share*float64(count)))-1)
}

// life of a block: how long it took from request to last byte, and how many bytes arrived
// meanwhile on all connections.
type life struct {
	took  time.Duration
	bytes int64
}

// slowestSpeed is what arrived in all, MiB/s, during the lives of the slowest 1 % of blocks: p99 and
// beyond. As much as in the mean: the block was starved by its neighbours. Much less: everything
// stood still. The lives are at least one; they are sorted.
func slowestSpeed(lives []life) float64 {
	slices.SortFunc(lives, func(a, b life) int { return cmp.Compare(a.took, b.took) })
	var took time.Duration
	var bytes int64
	for _, one := range lives[rankOf(len(lives), 0.99):] {
		took += one.took
		bytes += one.bytes
	}
	return mib(bytes) / took.Seconds()
}

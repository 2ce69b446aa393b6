package perron

import "time"

// A Score says how good the live forecasts of a site were, by how far they
// looked ahead. Only forecasts whose truth is in count: quarters in which the
// site was open and measured.
type Score struct {
	// From and To bound the days that were scored, To not included; Days is how
	// many of them had anything to score.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Days int       `json:"days"`
	// Horizons are in order, shortest first; all of them are there, those without
	// anything to score too.
	Horizons []HorizonScore `json:"horizons"`
	// WorseSince is since when forecasts have been clearly worse than they were
	// before: when the day was over with which that became clear. It is zero while
	// they are not.
	WorseSince time.Time `json:"worseSince,omitzero"`
}

// A HorizonScore is the score of what was said more than Over and at most UpTo
// minutes before.
type HorizonScore struct {
	Over int `json:"over"`
	UpTo int `json:"upTo"`
	// Minutes is the length of the slots that were compared: 15, or 60 for what
	// is forecast by the hour only.
	Minutes  int      `json:"minutes"`
	Arrivals Accuracy `json:"arrivals"` // vehicles a slot
	// Wait is in minutes, over the slots for which a wait of five minutes or more
	// was held possible: that nobody waits at a quiet hour is no merit. What is
	// compared is chosen by what was said and never by what came. The truth is an
	// estimate itself; see [Came].
	Wait Accuracy `json:"wait"`
	// Idle is how many slots no such wait was held possible for, and Unforeseen
	// in how many of these it was measured: at most one in ten when the 90 %
	// quantile is right.
	Idle       int `json:"idle"`
	Unforeseen int `json:"unforeseen"`
}

// An Accuracy compares forecasts with what came. All of it is 0 when N is.
type Accuracy struct {
	// N counts the pairs of a forecast and its truth. A slot is forecast many
	// times, so the pairs are not independent.
	N    int     `json:"n"`
	Mean float64 `json:"mean"` // of what came
	MAE  float64 `json:"mae"`  // mean absolute error of the median
	Bias float64 `json:"bias"` // mean of median less truth
	// Pinball is the mean quantile loss of the 10 %, 50 % and 90 % quantiles.
	Pinball float64 `json:"pinball"`
	// Coverage is the part of the truth within the 80 % interval.
	Coverage float64 `json:"coverage"`
}

// Horizon finds the score of a lead in minutes.
func (s *Score) Horizon(lead int) (HorizonScore, bool) {
	for _, h := range s.Horizons {
		if h.Over < lead && lead <= h.UpTo {
			return h, true
		}
	}
	return HorizonScore{}, false
}

package collector

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/collector/intake"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/present"
	"github.com/perrondrukte/perrondrukte/store"
)

// A Store keeps events, actions, samples and forecasts. Errors that are
// [store.ErrFull] or [store.ErrUnavailable] are tried again.
type Store interface {
	Commit(ctx context.Context, b store.Batch) (store.Result, error)
	Events(ctx context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error]
	Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error)
	Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error)
	SaveSamples(ctx context.Context, site string, samples []perron.Sample) error
	Samples(ctx context.Context, site string, from, to time.Time) ([]perron.Sample, error)
	SaveForecast(ctx context.Context, f perron.Forecast) error
	Forecasts(ctx context.Context, site string, from, to time.Time) ([]perron.Forecast, error)
	Losses(ctx context.Context, site string, from, to time.Time) ([]store.Loss, error)
	store.LossStore
	store.ReadingStore
}

// A Link is a connection to the broker.
type Link interface {
	// Subscribe is called before the link runs. Handlers only enqueue.
	Subscribe(filter string, handle func(broker.Message))
	Publish(ctx context.Context, m broker.Message) error
}

// An Estimator follows one site, see [present.Estimator].
type Estimator = present.Estimator

// A Forecaster looks ahead at one site. History and recent are counts a
// quarter of an hour, gates summed; quarters without a passage may be missing
// and the running quarter is not among them. The estimate given to Forecast has
// a zero At when nothing is known of the present.
type Forecaster interface {
	Refit(history []perron.Count)
	Forecast(origin time.Time, recent []perron.Count, now perron.Estimate) perron.Forecast
	Typical(at time.Time) (perron.Slot, bool)
}

// A Rememberer is a [Forecaster] that makes use of how long the queue was. It is
// given what the store has before it learns from the past, each sample once.
type Rememberer interface {
	Remember(samples []perron.Sample)
}

// A Learner makes estimators of one site that know what closed days have
// taught. It is safe for concurrent use.
type Learner interface {
	// New is a fresh estimator.
	New() Estimator
	// Learn takes in a closed day that an estimator of New has gone through; days
	// come in their order.
	Learn(day Estimator)
}

// A Meteorologist is a [Forecaster] that makes use of the weather, past and
// coming. It is given what is new before it learns and before it looks ahead.
type Meteorologist interface {
	Weather(hours []perron.Weather)
}

// A Neighbour is a [Forecaster] that lends what is usual at its site to those
// that have little history, and borrows from others.
type Neighbour interface {
	Pattern() (perron.Pattern, bool)
	Borrow(patterns []perron.Pattern)
}

// Weather knows that of the sites: all hours that are known of one when they
// are newer than a revision, 0 at first, and the revision that they are.
type Weather interface {
	Hours(site string, since int) (hours []perron.Weather, revision int)
}

// A Scorer compares forecasts with what came. Truth is what was measured from
// the start of a day until to; Forecast then scores what a forecast said of
// those days. It is used by one goroutine.
type Scorer interface {
	Truth(from, to time.Time, counts []perron.Count, samples []perron.Sample)
	Forecast(f *perron.Forecast)
	Score(now time.Time) perron.Score
}

// Config of a collector.
type Config struct {
	Sites []*perron.Site
	// Elsewhere are the sites of other collectors, whose messages are none of
	// this one's business.
	Elsewhere []*perron.Site
	// Devices are the gateways that say how much they counted, and Networks where
	// the uplinks of some of them come from.
	Devices       []intake.Device
	Networks      []intake.Network
	Store         Store
	Link          Link
	NewEstimator  func(*perron.Site) Estimator
	NewForecaster func(*perron.Site) Forecaster
	NewLearner    func(*perron.Site) Learner // in place of NewEstimator, which may be nil then
	NewScorer     func(*perron.Site) Scorer  // nil: forecasts are not scored
	// Civil is the time that people live by; time.Now by default.
	Civil func() time.Time
	// Speed is how fast Civil goes, in seconds per elapsed second; 0 is 1. More than
	// that is for demonstrations.
	Speed float64
	// StaleAfter is how long a state stays valid after the sensors last reported
	// everything; 5 minutes by default.
	StaleAfter time.Duration
	// Weather is that of the sites; nil where there is none.
	Weather Weather
	// HistoryDays is how much of the past the forecast learns from; 180 by default.
	HistoryDays int
	Logger      *slog.Logger
	Registerer  prometheus.Registerer // nil for no metrics
}

package collector

import (
	"log/slog"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/rarely"
)

// A core is what all parts of a collector share.
type core struct {
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	rare     *rarely.Limiter
	patterns patterns
	began    time.Time
}

func newCore(cfg Config) *core {
	return &core{cfg: cfg, log: cfg.Logger, metrics: newMetrics(cfg.Registerer), rare: rarely.New(time.Minute), began: time.Now()}
}

// storeFailed counts and, once a minute, logs a failed call of the store.
func (c *core) storeFailed(site, call string, err error) {
	c.metrics.storeErrors.WithLabelValues(call).Inc()
	if n, ok := c.rare.Allow(call + site); ok {
		c.log.Error("store fails", logs.Call, call, logs.Site, site, logs.Error, err, logs.Times, n)
	}
}

// readTimeout bounds a call of the store that nothing waits for.
const readTimeout = 30 * time.Second

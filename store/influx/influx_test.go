package influx_test

import (
	"testing"

	"github.com/perrondrukte/perrondrukte/store/influx"
	"github.com/perrondrukte/perrondrukte/store/influx/influxtest"
	"github.com/perrondrukte/perrondrukte/store/storetest"
)

var _ storetest.Store = (*influx.Store)(nil)

// TestStore runs everything that one server can serve.
func TestStore(t *testing.T) {
	t.Parallel()
	server := influxtest.Start(t)
	t.Run("Contract", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Opener {
			bucket := server.Bucket()
			return func(t *testing.T) storetest.Store { return open(t, server, bucket) }
		})
	})
	t.Run("BrokenAnywhere", func(t *testing.T) { testBrokenAnywhere(t, server) })
	t.Run("HandOver", func(t *testing.T) { testHandOver(t, server) })
	t.Run("EmptyAnswer", func(t *testing.T) { testEmptyAnswer(t, server) })
	t.Run("OpenErrors", func(t *testing.T) { testOpenErrors(t, server) })
}

func open(t testing.TB, server *influxtest.Server, bucket string) *influx.Store {
	t.Helper()
	s, err := influx.Open(t.Context(), influx.Config{URL: server.URL, Token: server.Token, Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

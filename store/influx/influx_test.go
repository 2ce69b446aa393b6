package influx_test

import (
	"testing"

	"github.com/perrondrukte/perrondrukte/store/influx"
	"github.com/perrondrukte/perrondrukte/store/influx/influxtest"
	"github.com/perrondrukte/perrondrukte/store/storetest"
)

var _ storetest.Store = (*influx.Store)(nil)

func TestContract(t *testing.T) {
	server := influxtest.Start(t)
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		bucket := server.Bucket()
		return func(t *testing.T) storetest.Store { return open(t, server, bucket) }
	})
}

func open(t testing.TB, server *influxtest.Server, bucket string) *influx.Store {
	t.Helper()
	s, err := influx.Open(t.Context(), influx.Config{URL: server.URL, Token: server.Token, Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

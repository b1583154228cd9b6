// Sends one request of Prometheus remote write 2.0 with Prometheus' own client library, and prints what it was told of
// how much is written: samples, histograms, exemplars.
//
//	remote_write URL SERVICE MILLISECONDS TRACE SPAN
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
)

func main() {
	url, service, trace, span := os.Args[1], os.Args[2], os.Args[4], os.Args[5]
	ms, err := strconv.ParseInt(os.Args[3], 10, 64)
	check(err)
	api, err := remote.NewAPI(url, remote.WithAPIBackoff(remote.BackoffConfig{MaxRetries: 1}))
	check(err)

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	written, err := api.Write(ctx, remote.WriteV2MessageType, request(service, ms, trace, span))
	check(err)
	fmt.Println(written.Samples, written.Histograms, written.Exemplars)
}

func request(service string, ms int64, trace, span string) *writev2.Request {
	symbols := writev2.NewSymbolTable()
	series := func(kind writev2.Metadata_MetricType, help, unit string, labels ...string) *writev2.TimeSeries {
		labels = append(labels, "instance", "10.0.0.1:8080", "job", service)
		return &writev2.TimeSeries{
			LabelsRefs: symbols.SymbolizeLabels(labels, nil),
			Metadata:   &writev2.Metadata{Type: kind, HelpRef: symbols.Symbolize(help), UnitRef: symbols.Symbolize(unit)},
		}
	}

	orders := series(writev2.Metadata_METRIC_TYPE_COUNTER, "Orders placed.", "", "__name__", "orders", "code", "200")
	orders.CreatedTimestamp = ms - 60_000
	orders.Samples = []*writev2.Sample{{Value: 1027, Timestamp: ms}}
	orders.Exemplars = []*writev2.Exemplar{{
		LabelsRefs: symbols.SymbolizeLabels([]string{"trace_id", trace, "span_id", span, "user", "u1"}, nil),
		Value:      0.5,
		Timestamp:  ms - 5,
	}}

	depth := series(writev2.Metadata_METRIC_TYPE_GAUGE, "", "", "__name__", "depth")
	depth.Samples = []*writev2.Sample{{Value: 2.5, Timestamp: ms}, {Value: -1, Timestamp: ms + 1}}

	latency := series(writev2.Metadata_METRIC_TYPE_HISTOGRAM, "", "seconds", "__name__", "latency_seconds")
	latency.Histograms = []*writev2.Histogram{{
		Count:          &writev2.Histogram_CountInt{CountInt: 10},
		Sum:            3.25,
		Schema:         2,
		ZeroThreshold:  1e-128,
		ZeroCount:      &writev2.Histogram_ZeroCountInt{ZeroCountInt: 1},
		PositiveSpans:  []*writev2.BucketSpan{{Offset: -3, Length: 2}, {Offset: 1, Length: 1}},
		PositiveDeltas: []int64{3, 1, -2},
		Timestamp:      ms,
	}}

	return &writev2.Request{
		Timeseries: []*writev2.TimeSeries{orders, depth, latency},
		Symbols:    symbols.Symbols(),
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

package groupchat_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// BenchmarkCreateMessage sends through the whole chain of a process, from 1, 16
// and 64 senders: all into one group, and each into its own.
func BenchmarkCreateMessage(b *testing.B) {
	for _, engine := range testkit.Engines() {
		for _, groups := range []string{"one", "own"} {
			for _, senders := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("%s/group=%s/senders=%d", engine, groups, senders), func(b *testing.B) {
					w := start(b, setting{Options: servetest.Options{Engine: engine}})
					names := []string{w.group(b, "g0")}
					for i := 1; i < senders && groups == "own"; i++ {
						names = append(names, w.group(b, fmt.Sprintf("g%d", i)))
					}
					sendAll(b, w, senders, names)
				})
			}
		}
	}
}

// sendAll shares b.N sends among the senders and reports those per second and
// those that failed.
func sendAll(b *testing.B, w *world, senders int, groups []string) {
	c := w.messages(b, clerk)
	var next, failed atomic.Int64
	done := make(chan struct{})
	b.ResetTimer()
	for i := range senders {
		go func() {
			defer func() { done <- struct{}{} }()
			for next.Add(1) <= int64(b.N) {
				_, err := c.CreateMessage(b.Context(), &groupchatv1.CreateMessageRequest{
					Parent: groups[i%len(groups)], Message: &groupchatv1.Message{Text: "Where is my order?"},
				})
				if err != nil {
					failed.Add(1)
				}
			}
		}()
	}
	for range senders {
		<-done
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
	b.ReportMetric(float64(failed.Load()), "failed")
}

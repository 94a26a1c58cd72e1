// Package e2e tests the suite from outside: real programs, real ports, and
// nothing but the public API.
//
// One set of tests (the bodies) runs on three topologies: everything in one
// process on bbolt, a process for each service on bbolt, and a process for each
// service, two of some, on PostgreSQL and Redis. A body that can, runs through
// both doors, gRPC and HTTP, with the same calls: see doors_test.go.
//
// Nothing here looks inside a process. What a test needs to wait for, it waits
// for through the API, with a deadline.
package e2e

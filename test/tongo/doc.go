// Package tongo tests that another Go client of TON, which shares no code with
// the one that this repository uses, works unchanged with the dev chain.
package tongo

//go:build race

package system

// underRace says that everything takes many times as long.
const underRace = true

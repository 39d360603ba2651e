package main

import (
	"os"
	"testing"

	"github.com/cocoon-go/cocoon/test/scenario/programs"
)

var running *programs.Demo

func TestMain(m *testing.M) {
	os.Exit(programs.Main(m, func(d *programs.Demo) { running = d }))
}

// TestScripts runs testdata/script: a file for every command.
func TestScripts(t *testing.T) { programs.Scripts(t, running) }

package main

import (
	"os"
	"testing"

	"github.com/cocoon-go/cocoon/test/scenario/programs"
)

func TestMain(m *testing.M) { os.Exit(programs.Main(m)) }

// TestScripts runs testdata/script: a file for every command.
func TestScripts(t *testing.T) { programs.Scripts(t, app().Commands) }

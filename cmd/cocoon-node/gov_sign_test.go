package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

func shownReview() *host.Review {
	return &host.Review{
		Proposal: &host.Proposal{Number: 7, Action: "set-params", Expires: time.Unix(1_800_000_000, 0), Value: json.RawMessage(`{"min_stake":"1"}`)},
		Digest:   "00ff", Effect: &host.Effect{Means: "what follows", Changes: []host.Change{{What: "minimum stake", Old: "5 coins", New: "1 coins"}}, Refused: 114},
		Waits: true, From: "2027-01-25T08:00:00Z", Until: "2027-02-24T08:00:00Z",
		Signers: []host.Signer{{Number: 0, Key: "aa", Valid: true}, {Number: 2, Key: "bb"}}, Needed: 2, Problem: "it is too late",
	}
}

// TestWriteReview: everything that is signed, and what follows from it, is shown.
func TestWriteReview(t *testing.T) {
	var b bytes.Buffer
	writeReview(&b, shownReview())
	for _, want := range []string{
		"proposal   7\n", "action     set-params {\"min_stake\":\"1\"}\n", "  change   minimum stake\n           from 5 coins\n           to   1 coins\n", "what follows",
		"as things stand its execution would be refused: ERR_NOT_FOUND", "executed from 2027-01-25T08:00:00Z to 2027-02-24T08:00:00Z", "expires    2027-01-15T08:00:00Z",
		"digest 00ff", "key 0    aa  holds\n", "key 2    bb  DOES NOT HOLD\n", "approvals  1 of 2 needed\n", "problem    it is too late\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
}

func TestConfirm(t *testing.T) {
	for typed, ok := range map[string]bool{
		"set-params\n": true, "  set-params \r\n": true, "set-params": true, "": false, "\n": false, "y\n": false, "yes\n": false, "pause\nset-params\n": false,
		strings.Repeat(" ", 300) + "set-params\n": false,
	} {
		var errs bytes.Buffer
		err := confirm(&command.Env{Stdin: strings.NewReader(typed), Stderr: &errs}, "set-params")
		var bad *attestation.InputError
		if (err == nil) != ok || err != nil && !errors.As(err, &bad) || !strings.HasPrefix(errs.String(), "Type set-params") {
			t.Errorf("%q: %v, %q", typed, err, &errs)
		}
	}
}

// TestAsk: without a terminal nothing is signed unless the user said so.
func TestAsk(t *testing.T) {
	var bad *attestation.InputError
	for name, in := range map[string]func() *command.Env{
		"a pipe": func() *command.Env { return &command.Env{Stdin: strings.NewReader("set-params\n")} },
		"no terminal at the other end": func() *command.Env {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return &command.Env{Stdin: f}
		},
	} {
		for _, json := range []bool{false, true} {
			env := in()
			var out, errs bytes.Buffer
			env.Stdout, env.Stderr, env.JSON = &out, &errs, json
			if err := ask(env, shownReview(), false); !errors.As(err, &bad) {
				t.Errorf("%s: %v", name, err)
			}
			if err := ask(env, shownReview(), true); err != nil {
				t.Errorf("%s, with --yes: %v", name, err)
			}
			shown, quiet := &out, &errs
			if json {
				shown, quiet = &errs, &out
			}
			if !strings.Contains(shown.String(), "minimum stake") || strings.Contains(quiet.String(), "minimum stake") {
				t.Errorf("%s: stdout %q, stderr %q", name, &out, &errs)
			}
		}
	}
}

package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

// valueKind is what actions of governance take as their value.
type valueKind struct {
	arg     string // in the usage
	what    string
	actions []string
	read    func(v string) (json.RawMessage, error) // nil: no value
}

var valueKinds = []valueKind{
	{"", "no value", []string{"pause", "resume", "remove-verifiers"}, nil},
	{"DIGEST", "64 hexadecimal digits",
		[]string{"add-measurement", "remove-measurement", "remove-model", "remove-ca", "revoke-platform", "restore-platform"}, textValue},
	{"QUOTE", "file with a TDX quote: the strictest floor that accepts its machine", []string{"raise-floor", "set-floor"}, quoteValue},
	{"FMSPC", "12 hexadecimal digits", []string{"remove-floor"}, textValue},
	{"NUMBER", "of a proposal that waits", []string{"cancel"}, numberValue},
	{"FILE", `with JSON: {"digest": "5b5a…", "licence": "Apache-2.0", "url": "https://…"}`, []string{"add-model"}, fileValue},
	{"FILE", `with the certificate of Intel's PCK Platform or Processor CA; or the key, whosever it is, as JSON: {"kind": "platform" or "processor", "x": "9a3f…", "y": "41c0…"}`,
		[]string{"add-ca"}, caValue},
	{"FILE", `with JSON: {"threshold": 2, "keys": ["d75a…", …]}; keys are hexadecimal`, []string{"set-governance"}, fileValue},
	{"FILE", `the same with "number", which must rise`, []string{"set-verifiers"}, fileValue},
	{"FILE", "with JSON: all parameters, as `gov show --json` prints them", []string{"set-params"}, fileValue},
	{"FILE", `with JSON: {"to": "0:9f86…", "keep_nano": 1000000000}: what the registry has above it goes there`, []string{"sweep"}, fileValue},
}

// actionsHelp lists the actions with their values.
func actionsHelp() string {
	var b strings.Builder
	for _, k := range valueKinds {
		fmt.Fprintf(&b, "  %s\n      %s\n", strings.TrimSpace(strings.Join(k.actions, ", ")+"  "+k.arg), k.what)
	}
	return "Actions and their values:\n" + b.String()
}

// proposalValue makes the JSON value of an action. The value of an unknown action
// is left to whoever knows actions.
func proposalValue(action, v string) (json.RawMessage, error) {
	for _, k := range valueKinds {
		for _, a := range k.actions {
			switch {
			case a != action:
			case k.read == nil && v != "":
				return nil, attestation.BadInput("%s takes no value", action)
			case k.read == nil:
				return nil, nil
			case v == "":
				return nil, attestation.BadInput("%s needs a value: %s, %s", action, k.arg, k.what)
			default:
				return k.read(v)
			}
		}
	}
	return nil, nil
}

func textValue(v string) (json.RawMessage, error) { return json.Marshal(v) }

func numberValue(v string) (json.RawMessage, error) {
	if strings.Trim(v, "0123456789") != "" {
		return nil, attestation.BadInput("%.40q is not the number of a proposal", v)
	}
	return json.RawMessage(v), nil
}

func quoteValue(v string) (json.RawMessage, error) {
	quote, err := command.ReadFile(v, 1<<20)
	if err != nil {
		return nil, err
	}
	return json.Marshal(hex.EncodeToString(quote))
}

func fileValue(v string) (json.RawMessage, error) {
	data, err := command.ReadFile(v, 64<<10)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return nil, attestation.BadInput("%s: %w", v, err)
	}
	return b.Bytes(), nil
}

// caValue reads a CA's certificate, which must be Intel's, or a key as JSON.
func caValue(v string) (json.RawMessage, error) {
	data, err := command.ReadFile(v, 64<<10)
	if err != nil {
		return nil, err
	}
	if json.Valid(data) {
		return fileValue(v)
	}
	value, err := host.CAValue(data, time.Now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v, err)
	}
	return value, nil
}

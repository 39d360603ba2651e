package host

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/internal/command"
)

// param is one parameter of a registry: its key in JSON, its name in words, and
// how it is read and written there.
type param struct {
	key, what string
	get       func(*contracts.Params) uint64
	text      func(uint64) string // for people
	value     func(uint64) any    // for JSON
	set       func(*contracts.Params, json.RawMessage) error
}

var params = []param{
	amount("min_stake", "minimum stake", func(p *contracts.Params) *uint64 { return &p.MinStake }),
	amount("receipt_loss", "loss for a receipt proved wrong", func(p *contracts.Params) *uint64 { return &p.ReceiptLoss }),
	amount("fork_loss", "loss for a forked log", func(p *contracts.Params) *uint64 { return &p.ForkLoss }),
	amount("challenge_bond", "bond of a challenge", func(p *contracts.Params) *uint64 { return &p.ChallengeBond }),
	amount("check_fee", "fee of a check", func(p *contracts.Params) *uint64 { return &p.CheckFee }),
	period("merge_delay", "merge delay", func(p *contracts.Params) *uint32 { return &p.MergeDelay }),
	period("anchor_interval", "anchor interval", func(p *contracts.Params) *uint32 { return &p.AnchorInterval }),
	period("answer_window", "answer window", func(p *contracts.Params) *uint32 { return &p.AnswerWindow }),
	period("unbonding", "unbonding", func(p *contracts.Params) *uint32 { return &p.Unbonding }),
	period("registration_validity", "validity of a registration", func(p *contracts.Params) *uint32 { return &p.RegistrationValidity }),
	period("governance_delay", "governance delay", func(p *contracts.Params) *uint32 { return &p.GovernanceDelay }),
	{
		key: "platform_slots", what: "nodes on one machine",
		get:   func(p *contracts.Params) uint64 { return uint64(p.PlatformSlots) },
		text:  func(n uint64) string { return strconv.FormatUint(n, 10) },
		value: func(n uint64) any { return n },
		set: func(p *contracts.Params, v json.RawMessage) error {
			if err := json.Unmarshal(v, &p.PlatformSlots); err != nil {
				return fmt.Errorf("%.40s is not a number from 0 to 255", v)
			}
			return nil
		},
	},
}

// amount is a parameter in coins: decimal numbers in text.
func amount(key, what string, at func(*contracts.Params) *uint64) param {
	return param{
		key: key, what: what, get: func(p *contracts.Params) uint64 { return *at(p) },
		text: coinsText, value: func(n uint64) any { return command.Coins(n) },
		set: func(p *contracts.Params, v json.RawMessage) (err error) {
			var s string
			if err := json.Unmarshal(v, &s); err != nil {
				return fmt.Errorf("want coins as text, such as %q", "12.5")
			}
			*at(p), err = command.ParseCoins(s)
			return err
		},
	}
}

// period is a parameter in whole seconds: durations in text.
func period(key, what string, at func(*contracts.Params) *uint32) param {
	return param{
		key: key, what: what, get: func(p *contracts.Params) uint64 { return uint64(*at(p)) },
		text: secondsText, value: func(n uint64) any { return (time.Duration(n) * time.Second).String() },
		set: func(p *contracts.Params, v json.RawMessage) error {
			var s string
			if err := json.Unmarshal(v, &s); err != nil {
				return fmt.Errorf("want a time as text, such as %q", "168h")
			}
			d, err := time.ParseDuration(s)
			if err != nil || d < 0 || d%time.Second != 0 || d/time.Second > 1<<32-1 {
				return fmt.Errorf("%q is not a time in whole seconds, such as %q", s, "168h")
			}
			*at(p) = uint32(d / time.Second)
			return nil
		},
	}
}

// paramsValue returns parameters as the value of the action "set-params" has
// them: amounts of coins and times as text.
func paramsValue(p contracts.Params) map[string]any {
	out := make(map[string]any, len(params))
	for _, f := range params {
		out[f.key] = f.value(f.get(&p))
	}
	return out
}

// parseParams reads what paramsValue makes. Every parameter must be there: none
// is changed by being forgotten.
func parseParams(v json.RawMessage) (p contracts.Params, err error) {
	var values map[string]json.RawMessage
	if err := strictJSON(v, &values); err != nil {
		return p, err
	}
	for _, f := range params {
		v, ok := values[f.key]
		if !ok {
			return p, fmt.Errorf("%s is missing: all parameters are set together; `cocoon-node gov show --json` prints those in force", f.key)
		}
		if string(v) == "null" {
			return p, fmt.Errorf("%s has no value", f.key)
		}
		if err := f.set(&p, v); err != nil {
			return p, fmt.Errorf("%s: %w", f.key, err)
		}
		delete(values, f.key)
	}
	for k := range values {
		return p, fmt.Errorf("unknown parameter %.40q", k)
	}
	return p, p.Check()
}

func explainParams(now, old contracts.Params) *Effect {
	e := &Effect{Means: "what is not named stays; nodes learn it when they next ask the registry, and those with less than a raised minimum stake stay registered until somebody has them rechecked"}
	for _, f := range params {
		e.change(f.what, f.text(f.get(&old)), f.text(f.get(&now)))
	}
	return e
}

func coinsText(nano uint64) string { return command.Coins(nano) + " coins" }

func secondsText(s uint64) string {
	const day = 86400
	if s >= day && s%3600 == 0 {
		return fmt.Sprintf("%d d %d h", s/day, s%day/3600)
	}
	return (time.Duration(s) * time.Second).String()
}

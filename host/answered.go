package host

import (
	"context"
	"slices"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// RefusalError says that a contract answered with a code, or aborted with it; or that
// it would, and so nothing was sent.
type RefusalError struct {
	Code     int  // exit code or answer; see package contracts
	Foreseen bool // nothing was sent
}

func (e *RefusalError) Error() string {
	verb := "refused"
	if e.Foreseen {
		verb = "would refuse"
	}
	return "the contract " + verb + ": " + contracts.ErrorName(e.Code)
}

// newQueryID returns a number that tells messages apart.
func newQueryID() uint64 { return uint64(time.Now().UnixNano()) }

// answerTimeout is how long a contract's answer may take.
const answerTimeout = 2 * time.Minute

// awaitDone waits for the answer among the wallet's transactions after lt. The
// first of the contracts got the question; each may answer.
func (o *Operator) awaitDone(ctx context.Context, queryID, lt uint64, from ...attestation.Address) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var looks chain.Looks
	for {
		txs, err := o.since(ctx, lt)
		if err != nil {
			return err
		}
		for _, t := range txs {
			if t.LT <= lt || t.In == nil {
				continue
			}
			done, bounced, err := answered(t.In, from, queryID)
			if bounced {
				err = o.thrown(ctx, from[0], queryID)
			}
			if done {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return attestation.Unknown("contract %v has not answered: %w", from[0], ctx.Err())
		case <-time.After(looks.Next()):
		}
	}
}

// since returns the wallet's transactions after lt, and maybe more. A wallet that
// others use too may have many.
func (o *Operator) since(ctx context.Context, lt uint64) ([]chain.Transaction, error) {
	acc, err := o.Client.Account(ctx, o.Wallet())
	if err != nil {
		return nil, err
	}
	for n := 16; ; n *= 8 {
		txs, err := o.Client.Transactions(ctx, acc, n)
		if err != nil || len(txs) < n || txs[n-1].LT <= lt || n >= 1<<12 {
			return txs, err
		}
	}
}

// answered reads an incoming message: the answer to a query, or the bounce of
// it.
func answered(m *tlb.Message, from []attestation.Address, queryID uint64) (done, bounced bool, err error) {
	in, ok := m.Msg.(*tlb.InternalMessage)
	if !ok || !slices.Contains(from, source(in)) || in.Body == nil {
		return false, false, nil
	}
	if in.Bounced { // 0xffffffff, operation, query
		s, err := in.Body.BeginParse()
		if err != nil || s.BitsLeft() < 128 || s.MustLoadUInt(64)>>32 != 0xffffffff || s.MustLoadUInt(64) != queryID {
			return false, false, nil
		}
		return true, true, nil
	}
	if p, err := contracts.ParsePayout(in.Body); err == nil {
		return p.QueryID == queryID, false, nil
	}
	d, err := contracts.ParseDone(in.Body)
	if err != nil || d.QueryID != queryID {
		return false, false, nil
	}
	if d.Code != 0 {
		err = attestation.Refused("%w", &RefusalError{Code: int(d.Code)})
	}
	return true, false, err
}

// source returns who sent a message, zero when that is no account.
func source(m *tlb.InternalMessage) (a attestation.Address) {
	if m.SrcAddr == nil || len(m.SrcAddr.Data()) != 32 {
		return a
	}
	return attestation.Address{Workchain: m.SrcAddr.Workchain(), Hash: [32]byte(m.SrcAddr.Data())}
}

// thrown finds the exit code of the transaction that bounced a query.
func (o *Operator) thrown(ctx context.Context, at attestation.Address, queryID uint64) error {
	acc, err := o.Client.Account(ctx, at)
	if err != nil {
		return err
	}
	txs, err := o.Client.Transactions(ctx, acc, 16)
	if err != nil {
		return err
	}
	for _, t := range txs {
		if t.In == nil {
			continue
		}
		in, ok := t.In.Msg.(*tlb.InternalMessage)
		if !ok || source(in) != o.Wallet() || in.Body == nil {
			continue
		}
		s, err := in.Body.BeginParse()
		if err == nil && s.BitsLeft() >= 96 && s.MustLoadUInt(32) != 0 && s.MustLoadUInt(64) == queryID {
			return attestation.Refused("%w; what was sent came back", &RefusalError{Code: int(t.ExitCode)})
		}
	}
	return attestation.Refused("contract %v aborted; what was sent came back", at)
}

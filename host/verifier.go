package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/command"
)

// Verifier returns the proved record of a verifier under the operator's registry.
func (o *Operator) Verifier(ctx context.Context, key ed25519.PublicKey) (*registry.Verifier, error) {
	return o.reader.Verifier(ctx, o.Registry, key)
}

// StakeVerifier adds nano coins to the stake of a verifier, and deploys its
// contract where nobody has. The wallet becomes its operator. A stake that is in
// and does not make the registry count the verifier is a refusal that says so.
func (o *Operator) StakeVerifier(ctx context.Context, key ed25519.PrivateKey, amount uint64) error {
	if len(key) != ed25519.PrivateKeySize {
		return attestation.BadInput("verifier: no Ed25519 key")
	}
	pub := key.Public().(ed25519.PublicKey)
	addr, init, err := contracts.VerifierAddress(o.Registry, pub)
	if err != nil {
		return err
	}
	id, err := o.Client.ChainID(ctx)
	if err != nil {
		return err
	}
	err = o.do(ctx, fmt.Sprintf("stake %s coins for verifier %x", command.Coins(amount), pub), func(query uint64) ([]chain.Message, error) {
		m, err := contracts.NewStakeVerifier(key, id, o.Registry, o.Wallet(), query)
		if err != nil {
			return nil, err
		}
		body, err := m.Body()
		out := chain.Message{To: addr, Amount: nano(amount + contracts.ValueStakeVerifier), StateInit: new(tlb.StateInit), Body: body}
		if err == nil {
			err = tlb.LoadFromCell(out.StateInit, init.MustBeginParse())
		}
		return []chain.Message{out}, err
	}, addr)
	if notCounted(err) {
		return attestation.Refused("the stake is in, and the registry does not count the verifier: %w", err)
	}
	return err
}

// LeaveVerifiers has the registry count a verifier no longer, and starts the way
// out for its stake.
func (o *Operator) LeaveVerifiers(ctx context.Context, key ed25519.PublicKey) error {
	err := o.toVerifier(ctx, "take verifier %x off", key, contracts.ValueVerifier, func(q uint64) Message { return &contracts.LeaveVerifiers{QueryID: q} })
	if notCounted(err) {
		return nil // so it was meant
	}
	return err
}

// RefreshVerifier has the registry judge a verifier anew, whoever's it is. A
// refusal says that it does not count.
func (o *Operator) RefreshVerifier(ctx context.Context, key ed25519.PublicKey) error {
	return o.toVerifier(ctx, "refresh verifier %x", key, contracts.ValueVerifier, func(q uint64) Message { return &contracts.RefreshVerifier{QueryID: q} })
}

// WithdrawVerifier pays what a verifier's contract owes the wallet: a reporter's
// credit, or to its operator what the contract does not need and the stake that may
// leave.
func (o *Operator) WithdrawVerifier(ctx context.Context, key ed25519.PublicKey) error {
	return o.toVerifier(ctx, "withdraw from verifier %x", key, contracts.ValueWithdrawVerifier, func(q uint64) Message { return &contracts.WithdrawVerifier{QueryID: q} })
}

// ReportVerifier reports a verifier that signed two certificates in conflict, and
// returns its key. The wallet is credited with half of the stake. That they are
// in conflict, and by whom, is found before anything is sent.
func (o *Operator) ReportVerifier(ctx context.Context, a, b *certificate.File) (ed25519.PublicKey, error) {
	key, m, err := Conflict(a, b)
	if err != nil {
		return nil, err
	}
	id, err := o.Client.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.Check(id, key); err != nil {
		return nil, err
	}
	err = o.toVerifier(ctx, "report verifier %x", key, contracts.ValueVerifier, func(q uint64) Message {
		m.QueryID = q
		return m
	})
	if notCounted(err) {
		err = nil // so it was meant
	}
	return key, err
}

// Conflict finds the verifier that signed both of two certificates in conflict.
// That nobody did is an [*attestation.RefusedError].
func Conflict(a, b *certificate.File) (ed25519.PublicKey, *contracts.ReportCertificates, error) {
	if err := errors.Join(a.Verify(), b.Verify()); err != nil {
		return nil, nil, err
	}
	if !a.Certificate.ConflictsWith(&b.Certificate) {
		return nil, nil, attestation.Refused("an honest verifier may have signed both certificates (docs/spec/contracts-verifier.md, section 4)")
	}
	for k, s := range a.Signatures {
		if t, ok := b.Signatures[k]; ok {
			return k[:], &contracts.ReportCertificates{
				A: contracts.SignedCertificate{Certificate: a.Certificate, Signature: s},
				B: contracts.SignedCertificate{Certificate: b.Certificate, Signature: t},
			}, nil
		}
	}
	return nil, nil, attestation.Refused("no verifier signed both certificates")
}

// toVerifier sends a message to a verifier's contract, which must be there.
func (o *Operator) toVerifier(ctx context.Context, what string, key ed25519.PublicKey, value uint64, m func(uint64) Message) error {
	what = fmt.Sprintf(what, []byte(key))
	if found, err := o.resume(ctx, what); found || err != nil {
		return err
	}
	v, err := o.Verifier(ctx, key)
	if errors.Is(err, registry.ErrNoContract) {
		return attestation.Refused("nobody has staked for verifier %x in registry %v", []byte(key), o.Registry)
	} else if err != nil {
		return err
	}
	return o.Send(ctx, what, value, m, v.Address)
}

// notCounted says whether an error is the registry's word that a verifier does
// not count, after whatever else the message did.
func notCounted(err error) bool {
	var r *RefusalError
	return errors.As(err, &r) && !r.Foreseen && slices.Contains([]int{contracts.CodeStake, contracts.CodeVerifierSet}, r.Code)
}

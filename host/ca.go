package host

import (
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// caOf reads the key of a CA that signs PCK certificates from its certificate, in
// PEM or DER form, which must be valid at a time. genuine says why it isn't Intel's;
// nil: it is.
func caOf(data []byte, at time.Time) (kind uint8, key contracts.PublicKey, genuine, err error) {
	c, err := intel.ParsePCKCA(data)
	if err != nil {
		return 0, key, nil, err
	}
	if err := c.Valid(at); err != nil {
		return 0, key, nil, err
	}
	kind = contracts.CAProcessor
	if c.Platform() {
		kind = contracts.CAPlatform
	}
	k := c.Key()
	return kind, contracts.PublicKey{X: [32]byte(k[:32]), Y: [32]byte(k[32:])}, c.Genuine(), nil
}

// CAValue makes the value of "add-ca" of the certificate of Intel's PCK Platform CA
// or PCK Processor CA, in PEM or DER form. Errors are bad input, false when Intel's
// root did not sign it, and unknown when it is not valid at the time.
func CAValue(data []byte, at time.Time) (json.RawMessage, error) {
	kind, key, genuine, err := caOf(data, at)
	if err == nil {
		err = genuine
	}
	if err != nil {
		return nil, err
	}
	name, ok := caKinds[kind]
	if !ok {
		return nil, attestation.BadInput("CA of kind %d: platform and processor are known", kind)
	}
	return json.Marshal(map[string]string{"kind": name, "x": hex.EncodeToString(key.X[:]), "y": hex.EncodeToString(key.Y[:])})
}

// caKinds are the words for kinds of CAs.
var caKinds = map[uint8]string{contracts.CAPlatform: "platform", contracts.CAProcessor: "processor"}

// Package enclave is the runtime inside the confidential VM: it boots, makes
// keys that never leave memory, asks the hardware for evidence over its claims,
// serves sealed requests, and signs a receipt for every answer.
//
// The host that runs it is not trusted. It passes bytes and may stop, delay or
// drop them; what it says about the chain is believed only with proofs from the
// trusted block of the measured configuration. The disk belongs to the host;
// see package ledger. Nothing of a request is logged or stored.
//
// [Boot] walks through the states of [State] in order and stops at the first
// that fails. Between StateRegister and StateServe the host registers the
// bundle on TON; the enclave serves only when it has proved its own
// registration, and stops when its log is not anchored in time.
package enclave

// State is where a boot is. Failure stops there.
type State int32

// The states, in order.
const (
	StateConfiguration State = iota // measured configuration is read and bound
	StateChain                      // head and time of the chain, node record, and whether the stored log fits
	StateGPUs                       // the GPUs are verified, and only then accept work
	StateEngine                     // model and engine
	StateSelfTest                   // known answers
	StateKeys                       // receipt, log, identity and OHTTP keys
	StateEvidence                   // GPUs sign the claims without them, then the hardware the claims digest
	StateRegister                   // waiting for this boot's own registration
	StateLog                        // the stored log is checked against the chain
	StateServe
	StateStopped
)

var stateNames = [...]string{
	"configuration", "chain", "gpus", "engine", "self-test", "keys", "evidence", "register", "log", "serve", "stopped",
}

// String returns the name of the state, as logs and the status page show it.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return "unknown"
	}
	return stateNames[s]
}

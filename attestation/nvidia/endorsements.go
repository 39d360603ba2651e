package nvidia

// Endorsements is a set of RIM documents and OCSP responses, parsed and not
// verified. It may hold more than one report needs.
type Endorsements struct{}

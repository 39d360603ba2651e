package fault

import "strings"

// JoinUnknown joins what could not be found out into one error, so that all of it
// is named at once: its text is one line, with "; " between. An error of another
// family stands alone, the first of them: what is false is false, whatever could
// not be found out beside it. Without an error it is nil.
func JoinUnknown(errs ...error) error {
	var unknown joined
	for _, err := range errs {
		switch {
		case err == nil:
		case FamilyOf(err) != FamilyUnknown:
			return err
		default:
			unknown = append(unknown, err)
		}
	}
	switch len(unknown) {
	case 0:
		return nil
	case 1:
		return unknown[0]
	}
	return unknown
}

// joined are several errors in one line.
type joined []error

func (j joined) Error() string {
	var texts []string
	for _, err := range j {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

func (j joined) Unwrap() []error { return j }

package contracts

import (
	"fmt"
	"slices"
	"testing"
)

// TestTighteningEndsProposals: anybody executes a proposal when he likes, so one that
// would undo what was tightened after it must not wait; all others go on.
func TestTighteningEndsProposals(t *testing.T) {
	one, two := [32]byte{31: 1}, [32]byte{31: 2}
	ca := func(n byte) CAKey { return CAKey{CAPlatform, PublicKey{[32]byte{n}, [32]byte{n}}} }
	strict := someFloor()
	strict.PCESVN++
	sets := VerifierSet{9, Quorum{Threshold: 1, Keys: map[uint8][32]byte{0: {1}}}}
	proposals := []Action{
		AddMeasurement{one, 1}, AddMeasurement{two, 1}, AddModel{one, Model{"MIT", "u"}}, AddModel{two, Model{"MIT", "u"}},
		SetFloor{[6]byte{1}, someFloor()}, SetFloor{[6]byte{2}, someFloor()}, AddCAKey{ca(1)}, AddCAKey{ca(2)},
		SetVerifiers{sets}, Resume{}, RestorePlatform{one}, RestorePlatform{two}, SetParams{DefaultParams()},
	}
	list := func(s *RootState) {
		s.Measurements[one], s.Models[one], s.Floors[[6]byte{1}] = Measurement{Flags: 1}, Model{"MIT", "u"}, someFloor()
		s.AddCAKey(CAPlatform, ca(1).Key)
	}
	for _, c := range []struct {
		action Action
		ends   int // the index of the only proposal that it ends; -1: none
	}{
		{RemoveMeasurement{one}, 0}, {RemoveModel{one}, 2}, {RemoveFloor{[6]byte{1}}, 4}, {RaiseFloor{[6]byte{1}, strict}, 4},
		{RemoveCAKey{ca(1).Key.Digest()}, 6}, {RemoveVerifiers{}, -1}, {Pause{}, 9}, {RevokePlatform{one}, 10}, {CancelProposal{13}, 12},
	} {
		t.Run(fmt.Sprintf("%T", c.action), func(t *testing.T) {
			f := newFixture(t, list)
			var left []uint32
			for i, p := range proposals {
				if i != c.ends {
					left = append(left, f.rootState().NextProposal)
				}
				f.govern(p)
			}
			f.govern(c.action)
			if got := sorted(f.rootState().Proposals, compareNumbers[uint32]); !slices.Equal(got, left) {
				t.Errorf("%v wait, want %v", got, left)
			}
			if c.ends < 0 {
				return
			}
			f.Now += f.start.Params.GovernanceDelay
			f.execute(uint32(c.ends)+1, CodeProposalNumber)
		})
	}
}

package contracts

// Judge is what Root decides on the current registration of a node with a stake, in
// nano, when somebody has it judged again ([Recheck]): 0, or the code of its
// refusal. c is what the record holds.
func (s *RootState) Judge(c *Check, stake uint64) int { return s.judge(c, stake, false) }

// JudgeNew is what Root decides on a registration that it is asked to confirm. The
// Platform's slots come after that.
func (s *RootState) JudgeNew(c *Check, stake uint64) int {
	if s.Paused {
		return CodePaused
	}
	return s.judge(c, stake, true)
}

func (s *RootState) judge(c *Check, stake uint64, isNew bool) int {
	switch {
	case stake < s.Params.MinStake:
		return CodeStake
	case s.Revoked[c.PlatformID]:
		return CodeRevoked
	case s.Measurements[c.Measurement].Flags&MeasurementAccepted == 0:
		return CodeMeasurement
	}
	switch c.Kind {
	case KindTDX:
		return s.judgeTDX(c)
	case KindSNP, KindTDXQuorum:
		return s.judgeQuorum(c, isNew)
	}
	return CodeKind
}

func (s *RootState) judgeTDX(c *Check) int {
	if c.TDX == nil {
		return CodeKind
	}
	if _, ok := s.CAKeys[c.Authority]; !ok {
		return CodeCAKey
	}
	floor, ok := s.Floors[c.TDX.FMSPC]
	if !ok {
		return CodeFloor
	}
	return floor.judge(c.TDX.TCB)
}

// judgeQuorum: a newer set does not undo what the one before it certified.
func (s *RootState) judgeQuorum(c *Check, isNew bool) int {
	if s.Verifiers == nil || isNew && hash32(s.Verifiers.Cell()) != c.Authority {
		return CodeVerifierSet
	}
	return 0
}

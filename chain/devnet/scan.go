package devnet

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// scan reads all records and hands each to f. Behind the last good one it cuts off
// what a crash left: of damage that has good records behind it, only when it is
// told to repair.
func (s *store) scan(repair bool, f func(seqno uint32, r record) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := bufio.NewReaderSize(io.NewSectionReader(s.f, 0, 1<<62), 1<<20)
	for {
		r, n, ok := nextRecord(in)
		if !ok {
			break
		}
		if err := f(uint32(len(s.offsets))+1, r); err != nil {
			return err
		}
		s.offsets = append(s.offsets, s.end)
		s.end += n
	}
	if !repair {
		if at, err := s.ahead(); err != nil {
			return err
		} else if at > 0 {
			return fmt.Errorf("dev chain directory %s: the record of block %d, at byte %d of blocks, is damaged, and a good one follows at byte %d; "+
				"restore the file, or start once with repair: blocks from %d on are then lost, and the chain goes on before them",
				s.dir, len(s.offsets)+1, s.end, at, len(s.offsets)+1)
		}
	}
	return s.f.Truncate(s.end)
}

// nextRecord reads a record and returns its length with the header; false at the
// end, and where it is torn or damaged.
func nextRecord(in io.Reader) (r record, size int64, ok bool) {
	var head [recordHeader]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return r, 0, false
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxRecord {
		return r, 0, false
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return r, 0, false
	}
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return r, 0, false
	}
	r, err := decodeRecord(body)
	return r, recordHeader + int64(n), err == nil
}

// Bounds of the search for good records behind a damaged one.
const (
	searchBytes  = 4 << 20
	searchRecord = 1 << 20 // bytes of a record that it finds; they have some ten thousand
)

// ahead returns where a good record begins behind the first damaged one, 0 for
// nowhere: then it is the tail of a write that was cut short.
func (s *store) ahead() (int64, error) {
	tail, err := io.ReadAll(io.NewSectionReader(s.f, s.end, searchBytes))
	if err != nil {
		return 0, err
	}
	for i := 1; i+recordHeader < len(tail); i++ {
		n := binary.BigEndian.Uint32(tail[i:])
		if n == 0 || n > searchRecord || uint64(n) > uint64(len(tail)-i-recordHeader) {
			continue
		}
		body := tail[i+recordHeader:][:n]
		if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(tail[i+4:]) {
			continue
		}
		if _, err := decodeRecord(body); err == nil {
			return s.end + int64(i), nil
		}
	}
	return 0, nil
}

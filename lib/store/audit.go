package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// metaAuditFirst is the number of the oldest line that is kept, metaAuditAnchor the hash of the line before it, in hexadecimal.
const metaAuditFirst, metaAuditAnchor = "audit_first", "audit_anchor"

// ErrAudit says that the audit log is not as it was written.
var ErrAudit = errors.New("the audit log was changed")

// Chain is the hash of a line of the audit log behind one with the hash prev: SHA-256 of both. The first line stands behind none.
func Chain(prev, line []byte) []byte {
	h := sha256.New()
	h.Write(prev)
	h.Write(line)
	return h.Sum(nil)
}

// VerifiedAudit says what an audit log holds.
type VerifiedAudit struct {
	First, Last int64 // numbers of lines; 0: there is none
	Lines       int64
	Head        []byte // hash of the last line
}

// VerifyAudit reads the audit log of the database in a file, which may be in use, and follows its chain of hashes; each is called for every line.
// A head that was noted earlier must be among the hashes, unless it is empty. The error is ErrAudit and says at which line.
func VerifyAudit(ctx context.Context, path string, head []byte, each func(Audited) error) (v VerifiedAudit, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return v, fmt.Errorf("read the audit log: %w", err)
	}
	if err := checkHeader(path); err != nil {
		return v, fmt.Errorf("read the audit log in %s: %w", path, err)
	}
	db, err := open(path, "ro", 1)
	if err != nil {
		return v, err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // or lines could be pruned while they are read
	if err != nil {
		return v, classify(err)
	}
	defer tx.Rollback()
	if v.First, v.Head, err = auditAnchor(ctx, tx); err != nil {
		return v, classify(err)
	}
	noted := len(head) == 0 || bytes.Equal(head, v.Head)
	rows, err := tx.QueryContext(ctx, "SELECT seq, line, hash FROM audit ORDER BY seq")
	if err != nil {
		return v, classify(err)
	}
	defer rows.Close()
	for v.Last = v.First - 1; rows.Next(); v.Lines++ {
		a, err := scanAudited(rows)
		if err != nil {
			return v, unreadable(err)
		}
		switch {
		case a.Seq != v.Last+1:
			return v, fmt.Errorf("%w: line %d follows line %d", ErrAudit, a.Seq, v.Last)
		case !bytes.Equal(a.Hash, Chain(v.Head, a.Line)):
			return v, fmt.Errorf("%w: line %d, or one before it, is not as it was", ErrAudit, a.Seq)
		}
		v.Last, v.Head = a.Seq, a.Hash
		noted = noted || bytes.Equal(head, a.Hash)
		if err := each(a); err != nil {
			return v, err
		}
	}
	if err := rows.Err(); err != nil {
		return v, classify(err)
	}
	if !noted {
		return v, fmt.Errorf("%w: no line has the hash %x; it was written anew, or that line is too old to be kept", ErrAudit, head)
	}
	return v, nil
}

// auditAnchor is where the audit log begins, and the hash of the line before.
func auditAnchor(ctx context.Context, tx *sql.Tx) (first int64, hash []byte, err error) {
	var text string
	if err := tx.QueryRowContext(ctx, `SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key=?), 1), coalesce((SELECT value FROM meta WHERE key=?), '')`,
		metaAuditFirst, metaAuditAnchor).Scan(&first, &text); err != nil {
		return 0, nil, err
	}
	hash, err = hex.DecodeString(text)
	return first, hash, err
}

// audit removes the oldest lines of the audit log, and keeps the hash behind which the others stand.
func (p *Pruned) audit(ctx context.Context, tx *sql.Tx, k Keep) error {
	if k.Audit <= 0 {
		return nil
	}
	first, _, err := auditAnchor(ctx, tx)
	if err != nil {
		return err
	}
	var newest int64
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM audit").Scan(&newest); err != nil {
		return err
	}
	from := min(newest-k.Audit+1, first+4*pruneAtOnce)
	if from <= first {
		return nil
	}
	p.More = p.More || from < newest-k.Audit+1
	var anchor []byte
	if err := tx.QueryRowContext(ctx, "SELECT hash FROM audit WHERE seq=?", from-1).Scan(&anchor); err != nil {
		return err
	}
	for key, value := range map[string]any{metaAuditFirst: from, metaAuditAnchor: hex.EncodeToString(anchor)} {
		if _, err := tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value=excluded.value", key, value); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM audit WHERE seq < ?", from)
	return err
}

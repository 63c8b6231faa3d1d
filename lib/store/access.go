package store

import (
	"context"
	"database/sql"
	"encoding/json"
)

// Devices reads all devices.
func (db *DB) Devices(ctx context.Context) ([]Device, error) {
	return query(ctx, db.r, scanDevice, "SELECT id, fingerprint, profile, draining, drain_by, joined, seen, boot_count, address, completed, failed, standing, invite FROM devices ORDER BY id")
}

func scanDevice(row scanner) (d Device, err error) {
	var profile string
	var drainBy, joined, seen sql.NullInt64
	if err = row.Scan(&d.ID, &d.Fingerprint, &profile, &d.Draining, &drainBy, &joined, &seen, &d.BootCount, &d.Address, &d.Completed, &d.Failed, &d.Standing, &d.Invite); err != nil {
		return d, err
	}
	d.DrainBy = fromMS(drainBy)
	d.Joined, d.Seen = fromMS(joined), fromMS(seen)
	return d, json.Unmarshal([]byte(profile), &d.Profile)
}

// Tokens reads all tokens.
func (db *DB) Tokens(ctx context.Context) ([]Token, error) {
	return query(ctx, db.r, func(row scanner) (t Token, err error) {
		var created, expires, used sql.NullInt64
		var grant string
		if err = row.Scan(&t.ID, &t.Role, &t.Name, &t.Hash, &created, &expires, &t.Kind, &t.Parent, &t.Owner, &grant, &used); err != nil {
			return t, err
		}
		t.Created, t.Expires, t.Used = fromMS(created), fromMS(expires), fromMS(used)
		return t, json.Unmarshal([]byte(grant), &t.Grant)
	}, "SELECT id, role, name, hash, created, expires, kind, parent, owner, granted, used FROM tokens ORDER BY created, id")
}

// Invites reads all invitations.
func (db *DB) Invites(ctx context.Context) ([]Invite, error) {
	return query(ctx, db.r, func(row scanner) (i Invite, err error) {
		var expires sql.NullInt64
		err = row.Scan(&i.ID, &i.Hash, &expires, &i.Uses, &i.UsedBy)
		i.Expires = fromMS(expires)
		return i, err
	}, "SELECT id, hash, expires, uses, used_by FROM invites")
}

// Revoked reads the keys that are not let in again.
func (db *DB) Revoked(ctx context.Context) ([]Revoked, error) {
	return query(ctx, db.r, scanRevoked, selectRevoked)
}

const selectRevoked = "SELECT fingerprint, device, at FROM revoked"

func scanRevoked(row scanner) (r Revoked, err error) {
	var at sql.NullInt64
	err = row.Scan(&r.Fingerprint, &r.Device, &at)
	r.At = fromMS(at)
	return r, err
}

"""The tables of what a login takes beyond a password: second factors, logins that wait for a code, counted tries."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from onejob.state.moments import Moment, metadata

# The only secret that is kept as it is, or encrypted: whoever checks a code has to compute it.
second_factors = Table(
    "second_factors",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("confirmed_at", Moment),
    Column("last_step", BigInteger, nullable=False),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
)
Index("ix_recovery_codes_user", recovery_codes.c.user_id)

waiting_logins = Table(
    "waiting_logins",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("expires_at", Moment, nullable=False),
)
Index("ix_waiting_logins_user", waiting_logins.c.user_id)

tries = Table(
    "tries",
    metadata,
    Column("key", Text, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("count", Integer, nullable=False),
    Column("is_told", Boolean, nullable=False),
    Column("proven_at", Moment),
)
Index("ix_tries_since", tries.c.since)

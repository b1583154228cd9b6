"""Users: how they come to have a password, log in and out, and what a session's cookie stands for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from onejob.access import passwords
from onejob.access.breached import BreachedPasswords
from onejob.access.errors import BadRequestError, LinkRefusedError, LoginRefusedError, WeakPasswordError
from onejob.access.limits import Tries
from onejob.access.second_factor import SecondFactorBook
from onejob.access.secrets import hash_of, new_secret
from onejob.model.access import Principal, Proof, Role, Session, User, Via
from onejob.state.errors import NotFoundError
from onejob.state.ids import new_id
from onejob.state.sessions import Sessions
from onejob.state.users import Users

LINK_LASTS = timedelta(hours=24)
PROVIDER_LOGIN_LASTS = timedelta(minutes=10)  # from leaving for the provider to coming back
RECENT = timedelta(minutes=10)  # a login at the provider that says again who somebody is
FIRST_ADMIN = "admin"
_SEEN_EVERY = timedelta(minutes=1)
_MOST_CHARACTERS = 100
_WRONG = "Name or password is wrong."
_TAKEN = {"onejob", "unknown"}  # what the audit log calls itself, and who it does not know


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A new session: its cookie, which is told to the browser and to nobody else."""

    user: User
    cookie: str


@dataclass(frozen=True, slots=True)
class CodeWanted:
    """The password was right, and there is a second factor: no session yet, but a cookie that says so much."""

    user: User
    cookie: str


class Accounts:
    """Thread-safe. A session lasts `lasts` at most, however much it is used."""

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        second_factors: SecondFactorBook,
        tries: Tries,
        lasts: timedelta,
        clock: Callable[[], datetime],
        breached: BreachedPasswords | None = None,
    ) -> None:
        self.users = users
        self.sessions = sessions
        self.second_factors = second_factors
        self.lasts = lasts
        self._clock = clock
        self._tries = tries
        self._breached = breached

    def log_in(self, name: str, password: str, source: str, before: str | None = None) -> LoggedIn | CodeWanted:
        """A new session, in place of the one `before` that the browser had; LoginRefusedError, TooManyTriesError."""
        name = folded(name)
        self._tries.take(name, source)
        user = self.users.named(name)
        is_right = passwords.is_right(password, user.password_hash if user and user.disabled_at is None else None)
        if user is None or not is_right:
            raise LoginRefusedError(_WRONG)
        self._tries.forget(name, source)
        if user.password_hash and passwords.is_outdated(user.password_hash):
            self.users.change(user.id, password_hash=passwords.hashed(password))
        return self._after_password(user, source, before)

    def waiting(self, cookie: str) -> User | None:
        """Whose code is waited for."""
        user_id = self.second_factors.waiting(cookie)
        user = self.users.get(user_id) if user_id else None
        return user if user is not None and user.disabled_at is None else None

    def log_in_by_code(self, cookie: str, code: str, source: str, before: str | None = None) -> tuple[LoggedIn, str]:
        """The second step of a login, and what kind of code it was; LoginRefusedError if there was no first, or long
        ago, WrongCodeError, SealError, TooManyTriesError.
        """
        user = self.waiting(cookie)
        if user is None:
            raise LoginRefusedError("This took too long: log in again.")
        how = self.second_factors.prove(user, code, source)
        if not self.second_factors.end_waiting(cookie):
            raise LoginRefusedError("This login was finished, or ended, a moment ago: log in again.")
        return self.begin(user, source, before, Proof.CODE), how

    def begin(self, user: User, source: str, before: str | None = None, proof: Proof = Proof.PASSWORD) -> LoggedIn:
        """A session for a user who has proved who they are. What the browser had before is over."""
        if before is not None:
            self.sessions.end(hash_of(before))
        now, cookie = self._clock(), new_secret()
        session = Session(
            hash=hash_of(cookie),
            user_id=user.id,
            created_at=now,
            seen_at=now,
            expires_at=now + self.lasts,
            source=source,
            proof=proof,
        )
        self.sessions.add(session)
        return LoggedIn(self.users.change(user.id, last_login_at=now), cookie)

    def principal(self, cookie: str, *, is_use: bool = True) -> Principal | None:
        """Whose session this is, while it lasts."""
        now = self._clock()
        found = self.sessions.find(hash_of(cookie), now)
        if found is None:
            return None
        session, user = found
        if is_use and now - session.seen_at >= _SEEN_EVERY:
            self.sessions.seen(session.hash, now)
        return Principal(
            name=user.name,
            role=user.role,
            via=Via.SESSION,
            user_id=user.id,
            session_hash=session.hash,
            must_enrol=self._must_enrol(session, user),
        )

    def add(self, name: str, role: Role) -> tuple[User, str]:
        """A new user, and the secret of the link by which they choose a password."""
        name = folded(name)
        if is_taken(name):
            raise BadRequestError(f"{name!r} is what the audit log calls somebody else: take another name.")
        if not name or len(name) > _MOST_CHARACTERS or not name.isprintable() or " " in name:
            raise BadRequestError(f"{name[:_MOST_CHARACTERS]!r} is no name: take up to 100 characters without spaces.")
        now = self._clock()
        user = User(id=new_id("usr", now), name=name, role=role, created_at=now)
        self.users.add(user)
        return user, self.link(user)

    def link(self, user: User) -> str:
        """The secret of a new one-time link; the password, and any older link, stay good until it is used, or end."""
        secret = new_secret()
        self.users.add_link(hash_of(secret), user.id, self._clock() + LINK_LASTS)
        return secret

    def use_link(self, secret: str, password: str, source: str) -> LoggedIn | CodeWanted:
        """Choose a password by a link, once, and be logged in; LinkRefusedError, WeakPasswordError.

        A second factor stays, and is asked for: a link is no way around it.
        """
        secret, now = secret.strip(), self._clock()
        user = self.users.linked(hash_of(secret), now)
        if user is None or user.disabled_at is not None:
            raise LinkRefusedError("This link is used up or too old: ask an admin for a new one.")
        self._check(password, user.name)
        changed = self.users.use_link(hash_of(secret), now, passwords.hashed(password))
        if changed is None:
            raise LinkRefusedError("This link was used a moment ago: ask an admin for a new one.")
        return self._after_password(changed, source)

    def change_password(self, user_id: str, old: str, new: str, source: str) -> LoggedIn:
        """All sessions end, and a new one begins here. LoginRefusedError, WeakPasswordError, TooManyTriesError."""
        user = self.prove(user_id, old, source)
        self._check(new, user.name)
        changed = self.users.change(user.id, log_out=True, password_hash=passwords.hashed(new))
        return self.begin(changed, source, proof=Proof.CODE if self.second_factors.is_on(user.id) else Proof.PASSWORD)

    def prove(self, user_id: str, password: str, source: str) -> User:
        """Whoever has the session says the password again. LoginRefusedError, TooManyTriesError."""
        user = self.users.get(user_id)
        if user is None:
            raise LoginRefusedError(_WRONG)
        self._tries.take(user.name, source)
        if not passwords.is_right(password, user.password_hash):
            raise LoginRefusedError("The password you have now is another one.")
        self._tries.forget(user.name, source)
        return user

    def prove_again(self, by: Principal, password: str, code: str, source: str) -> None:
        """Whoever has the session says the password, and a code if there is a second factor; who has no password must
        have come from the provider lately. BadRequestError, LoginRefusedError, WrongCodeError, TooManyTriesError.
        """
        user = self.users.get(by.user_id) if by.user_id and by.session_hash else None
        if user is None:
            raise BadRequestError("Only who is logged in can end sessions: open *Account* in a browser.")
        if user.password_hash is None:
            self._check_recent(user, by.session_hash or "")
            return
        self.prove(user.id, password, source)
        if self.second_factors.is_on(user.id):
            self.second_factors.prove(user, code, source)

    def session(self, user_id: str, session_hash: str) -> Session:
        """One of this user's that goes on; NotFoundError."""
        found = self.sessions.of_user(user_id, self._clock())
        session = next((one for one in found if one.hash == session_hash), None)
        if session is None:
            raise NotFoundError("This session is over, or none of yours: look at the list again.")
        return session

    def reset_second_factor(self, user: User) -> None:
        """For somebody who lost it: the password alone is enough again, and all sessions end."""
        self.second_factors.remove(user.id)
        self.sessions.end_all(user.id)

    def first_admin_link(self, *, again: bool = False) -> str | None:
        """The secret of a link for the first admin, who is made if there is no user at all.

        It is given as long as that admin has not chosen a password; `again`, afterwards too: for one that is lost, with
        the second factor, as nobody may be left who could reset that.
        """
        admin = self.users.named(FIRST_ADMIN)
        if admin is None:
            if self.users.count() and not again:
                return None
            return self.add(FIRST_ADMIN, Role.ADMIN)[1]
        if again:
            self.reset_second_factor(admin)
            return self.link(self.users.change(admin.id, role=str(Role.ADMIN), disabled_at=None))
        is_waiting = admin.password_hash is None and admin.subject is None and admin.last_login_at is None
        return self.link(admin) if is_waiting and admin.role is Role.ADMIN else None

    def _check(self, password: str, name: str) -> None:
        passwords.check(password, name)
        if self._breached is not None and self._breached.has(password):
            raise WeakPasswordError("The password was in a breach of another site: take one that you use nowhere else.")

    def _check_recent(self, user: User, session_hash: str) -> None:
        if self._clock() - self.session(user.id, session_hash).created_at > RECENT:
            minutes = int(RECENT / timedelta(minutes=1))
            raise LoginRefusedError(f"Log in with your provider again, and do this within {minutes} minutes.")

    def _after_password(self, user: User, source: str, before: str | None = None) -> LoggedIn | CodeWanted:
        if self.second_factors.is_on(user.id):
            return CodeWanted(user, self.second_factors.wait(user))
        return self.begin(user, source, before)

    def _must_enrol(self, session: Session, user: User) -> bool:
        """A provider asks for whatever it wants itself; who has no password came from there."""
        is_by_password = session.proof is Proof.PASSWORD and user.password_hash is not None
        return is_by_password and self.second_factors.is_required(user.role)


def is_taken(name: str) -> bool:
    """Whether nobody may be called so."""
    return name in _TAKEN


def folded(name: str) -> str:
    """Names differ by more than capitals."""
    return name.strip().casefold()

"""Live changes: SIGHUP with good and broken configurations while mail flows. Nobody is cut off, nothing that was
acknowledged is lost, and never more than three generations live."""
import asyncio, os, random, re, signal, socket, ssl, time

import pytest

import load
from host import DEADLINE, Host, Raw, free_port, wait_for
from tls import Authority


class Live(Host):
    drain = '1s'

    def conf_text(self):
        return super().conf_text().replace('processes {', f'processes {{ smtpd = 2 deliverd = 2 drain = {self.drain} ', 1)

    def hup(self):
        self.proc.send_signal(signal.SIGHUP)

    def rewrite(self):
        """The present text of the configuration, replaced as editors do."""
        path = self.dir / 'etc/mansio.conf'
        new = self.dir / 'etc/mansio.conf.new'
        new.write_text(self.conf_text())
        os.rename(new, path)

    def count(self, event):
        return len(self.log_lines(event))

    def reload(self):
        """Until the new generation works, and both smtpd of the old one have heard of it: they may take a connection until
        then."""
        n, retired = self.count('mtad.reload.done'), self.count('smtp.retired')
        self.rewrite()
        self.hup()
        self.wait_log('mtad.reload.done', count=n + 1)
        self.wait_log('smtp.retired', count=retired + 2)

    def settled(self):
        """One generation is left."""
        wait_for('old generations end', lambda: len(self.pids()['cleanup']) == 1 and len(self.pids()['smtpd']) == 2,
                 explain=self.log_tail)


@pytest.fixture
def live():
    with Live() as h:
        yield h


@pytest.fixture
def patient():
    """Sessions of the old generation are let go on for as long as a test may take."""
    with Patient() as h:
        yield h


class Patient(Live):
    drain = '60s'


def banner(h):
    s = Raw(h.port, greet=False)
    code, text = s.reply()
    assert code == 220
    s.close()
    return text.split()[1]


def test_a_new_hostname_is_in_new_sessions(patient):
    old = Raw(patient.port)
    assert 'mail.demo.test' in old.cmd('EHLO a.test')[1]
    patient.hostname = 'other.demo.test'
    patient.reload()
    assert {banner(patient) for _ in range(10)} == {'other.demo.test'}
    # The session that was there goes on as it began, for `drain`.
    assert 'mail.demo.test' in old.cmd('EHLO a.test')[1]
    assert patient.send('user@demo.test')
    patient.wait_mail()
    old.close()
    patient.settled()
    assert not patient.log_lines('mtad.child.ended')


def test_a_broken_configuration_changes_nothing(live):
    before = live.pids()
    live.extra = 'listen smtp2 { adress = [ "127.0.0.1:1" ] }'
    live.rewrite()
    live.hup()
    line = live.wait_log('mtad.reload.refused')
    assert 'mansio.conf:' in line and 'adress' in line and 'did you mean' in line, line
    live.wait_log('mtad.reload.kept', generation=1)
    assert live.pids() == before
    assert live.send('user@demo.test')
    live.wait_mail()


@pytest.mark.parametrize('extra, what', [
    ('listen busy { address = [ "127.0.0.1:PORT" ] }', 'another mail server'),
    ('map x { type = text source = "@DIR@/none" }', 'none'),
    ('mailbox nobody { lookup = users root = "@DIR@/missing" }', 'missing'),
])
def test_what_cannot_be_opened_is_refused(live, extra, what):
    import socket
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        live.extra = extra.replace('PORT', str(s.getsockname()[1]))
        live.rewrite()
        live.hup()
        assert what in live.wait_log('mtad.reload.refused')
    live.wait_log('mtad.reload.kept', generation=1)
    assert live.send('user@demo.test')


def test_listeners_come_and_go(patient):
    port = free_port()
    first = patient.listen
    patient.listen += f'\nlisten more {{ address = [ "127.0.0.1:{port}" ] }}'
    patient.reload()
    assert patient.send('user@demo.test', port=port)
    session = Raw(port)
    patient.listen = first
    patient.reload()

    def gone():
        try:
            Raw(port, greet=False).close()
        except ConnectionError:
            return True
    wait_for('the listener is gone', gone)
    assert session.cmd('NOOP')[0] == 250      # a session of it is not
    session.close()
    patient.listen = f'listen smtp {{ address = [ "127.0.0.1:{port}" ] }}'
    patient.reload()
    assert patient.send('user@demo.test', port=port)
    patient.wait_mail(count=2)


def test_an_idle_session_hears_421_after_the_drain_time(live):
    s = Raw(live.port)
    s.cmd('EHLO a.test')
    live.reload()
    code, _ = s.reply()             # without a command: it only sits there
    assert code == 421 and s.closed()
    live.settled()


def test_a_session_goes_on_until_the_drain_time(patient):
    s = Raw(patient.port)
    s.cmd('EHLO a.test')
    patient.reload()
    assert s.cmd('NOOP')[0] == 250
    s.close()
    patient.settled()


def test_a_transaction_is_finished_whatever_the_drain_time(live):
    s = Raw(live.port)
    s.cmd('EHLO a.test')
    assert s.cmd('MAIL FROM:<a@far.test>')[0] == 250
    live.reload()
    live.wait_log('smtp.retired')
    time.sleep(2)                   # past `drain`: the test is about what happens later
    assert s.cmd('RCPT TO:<user@demo.test>')[0] == 250
    assert s.cmd('DATA')[0] == 354
    s.send('Subject: late\r\n\r\nlate\r\n.\r\n')
    assert s.reply()[0] == 250
    assert s.cmd('MAIL FROM:<a@far.test>')[0] == 421
    assert s.closed()
    assert b'late' in live.wait_mail()[0]
    live.settled()


def test_three_generations_at_most(live):
    sessions = []
    for n in range(2):
        s = Raw(live.port)
        s.cmd('EHLO a.test')
        assert s.cmd('MAIL FROM:<a@far.test>')[0] == 250
        sessions.append(s)
        live.reload()
    live.hup()
    live.wait_log('mtad.reload.waits')
    assert len(live.pids()['cleanup']) == 3
    assert sessions[0].cmd('RCPT TO:<user@demo.test>')[0] == 250
    for s in sessions:
        s.close()
    live.wait_log('mtad.reload.done', count=3)
    live.settled()


class Tail:
    """What is new in a log, without reading it all again: the clients share this process."""

    def __init__(self, path):
        self.file = open(path, errors='replace')

    def news(self):
        return self.file.readlines()


class LiveTls(Live):
    """With STARTTLS, and certificates to choose from; .serial is the one that new sessions must be shown."""

    def __init__(self, pairs=3, **kw):
        super().__init__(**kw)
        self.authority = Authority(self.dir / 'ca')
        self.pairs = [tuple(f.read_bytes() for f in self.authority.host('mail.demo.test')) for _ in range(pairs)]
        self.context = self.authority.context()
        self.secure_port = free_port()
        self.listen = self.listen_tls()

    def listen_tls(self):
        return (f'listen smtp {{ address = [ "127.0.0.1:{self.port}" ] tls = offer }}\n'
                f'listen secure {{ address = [ "127.0.0.1:{self.secure_port}" ] tls = implicit }}')

    def conf_text(self):
        return super().conf_text() + f'tls {{ certificate = "{self.dir}/etc/cert.pem" key = "{self.dir}/etc/key.pem" }}\n'

    def install(self, certificate, key):
        """As a program that renews certificates does."""
        for name, text in (('cert.pem', certificate), ('key.pem', key)):
            (self.dir / 'etc' / f'{name}.new').write_bytes(text)
            (self.dir / 'etc' / f'{name}.new').chmod(0o600)
            os.rename(self.dir / 'etc' / f'{name}.new', self.dir / 'etc' / name)

    def use(self, n):
        pair = self.pairs[n % len(self.pairs)]
        self.install(*pair)
        self.serial = self.serial_of(pair[0])

    def serial_of(self, pem):
        (self.dir / 'one.pem').write_bytes(pem)
        return ssl._ssl._test_decode_cert(str(self.dir / 'one.pem'))['serialNumber']

    def write(self):
        conf = super().write()
        if not (self.dir / 'etc/cert.pem').exists():
            self.use(0)
        return conf

    def secure(self, session=None):
        """A session under TLS, its certificate verified."""
        c = Raw(self.port)
        c.cmd('EHLO a.test')
        assert c.cmd('STARTTLS')[0] == 220
        c.s = self.context.wrap_socket(c.s, server_hostname='mail.demo.test', session=session)
        assert c.cmd('EHLO a.test')[0] == 250
        return c

    def shown(self):
        c = self.secure()
        serial = c.s.getpeercert()['serialNumber']
        c.close()
        return serial


GOOD = ('hostname', 'listener', 'map', 'same', 'certificate')
BAD = ('broken', 'missing', 'half a certificate', 'a foreign key')


def one_change(h, n, rng, extra_port):
    """The n-th change of the configuration: (what, whether it is good)."""
    kind = rng.choice(GOOD + BAD)
    h.extra = ''
    h.listen = h.listen_tls()
    h.install(*h.pair)
    if kind == 'hostname':
        h.hostname = f'mail{n}.demo.test'
    elif kind == 'broken':
        h.extra = 'hostnam = x'
    elif kind == 'missing':
        h.extra = f'map m{n} {{ type = text source = "@DIR@/none{n}" }}'
    elif kind == 'listener':
        h.listen += f'\nlisten more {{ address = [ "127.0.0.1:{extra_port}" ] }}'
    elif kind == 'map':
        users = h.dir / 'etc/users'
        (h.dir / 'etc/users.new').write_text(''.join(f'{u}@demo.test {u}/\n' for u in (*h.users, f'new{n}')))
        os.rename(h.dir / 'etc/users.new', users)
        h.extra = (f'map other{n} {{ type = inline entries = [ "other{n}@demo.test user/" ] }}\n'
                   f'mailbox other {{ lookup = other{n} root = "@DIR@/mail" {h.owner()} }}')
    elif kind == 'certificate':
        next_one = h.pairs.index(h.pair) + 1
        h.pair = h.pairs[next_one % len(h.pairs)]
        h.use(next_one)
    elif kind == 'half a certificate':
        h.install(h.pair[0][:len(h.pair[0]) // 2], h.pair[1])
    elif kind == 'a foreign key':
        h.install(h.pair[0], next(p[1] for p in h.pairs if p is not h.pair))
    return kind, kind in GOOD


def test_many_reloads_under_load():
    """200 of them with MANSIO_LONG=1, 20 else: what was acknowledged arrives once, nothing is cut or refused. Every third
    of the 50 clients speaks TLS."""
    rounds = 200 if os.environ.get('MANSIO_LONG') else 20
    rng, most, account, used = random.Random(15), 0, None, set()
    with LiveTls(users=[f'u{i}' for i in range(8)], relay_from=()) as h:
        h.pair = h.pairs[0]
        extra_port, tail = free_port(), Tail(h.log_path)

        async def changes(account):
            nonlocal most
            for n in range(rounds):
                kind, good = one_change(h, n, rng, extra_port)
                used.add(kind)
                events = ('mtad.reload.done', 'mtad.reload.kept', 'mtad.reload.failed')
                tail.news()
                h.rewrite()
                h.hup()
                end, said, retired = time.monotonic() + 60, [], 0
                while not said or ('mtad.reload.done' in said[0] and retired < 2):
                    assert time.monotonic() < end, f'{kind}: no end\n{h.log_tail()}'
                    await asyncio.sleep(0.05)
                    news = tail.news()
                    said += [line for line in news for e in events if f'event={e} ' in line]
                    retired += sum('event=smtp.retired ' in line for line in news)
                most = max(most, len(h.pids().get('cleanup', [])))
                assert len(said) == 1 and ('mtad.reload.done' in said[0]) == good, f'{kind}\n{h.log_tail()}'
                assert await asyncio.to_thread(h.shown) == h.serial, kind
            end = time.monotonic() + 60
            while len(account.serials) < 2:     # clients that came back were shown a new certificate
                assert time.monotonic() < end, (str(account), account.broken[:5])
                await asyncio.sleep(0.05)

        rcpts = [f'u{i}@demo.test' for i in range(8)]
        account = asyncio.run(load.run(h.port, rcpts, 50, changes, sizes=(200, 3000, 3000, 70_000),
                                       tls=(h.secure_port, h.context, 'mail.demo.test')))
        assert len(account.acked) > 100, account
        assert used == {*GOOD, *BAD}, used
        # Every client is let in, and hears an answer to all it says: a process that retires reads on behind its last
        # words, so that no reset overtakes them.
        assert not account.broken, (len(account.broken), account.broken[:5])
        assert not account.unknown, (str(account), list(account.unknown.items())[:5])
        # The one refusal is 421 between two messages: to the first command of the next one, or while idle.
        cut = {t: (account.step[t], r) for t, r in account.refused.items() if account.step[t] != 'mail' or not r.startswith('421 4.3.2')}
        assert not cut, list(cut.items())[:5]
        assert most <= 3

        def arrived():
            found = {}
            for u in h.users:
                for m in h.mailbox(u):
                    token = re.search(rb'Subject: (tok\d+x)', m).group(1).decode()
                    found[token] = found.get(token, 0) + 1
            return found
        wait_for('all mail arrives', lambda: len(arrived()) >= len(account.acked), 120,
                 explain=lambda: f'{len(arrived())} of {account}\n{h.log_tail()}')
        got = arrived()
        assert set(got) == set(account.acked) and not [t for t, n in got.items() if n > 1], str(account)
        h.settled()
        assert not h.log_lines('mtad.child.ended'), h.log_lines('mtad.child.ended')


# ---- certificates ----

class PatientTls(LiveTls):
    drain = '60s'


def test_a_new_certificate_drops_no_session():
    """The session that was there goes on as it began; new ones are shown the new certificate, and no session of the former
    generation is resumed past it."""
    with PatientTls() as h:
        before = h.serial
        old = h.secure()
        assert old.cmd('MAIL FROM:<a@far.test>')[0] == 250
        idle = h.secure()
        ticket = idle.s.session
        again = h.secure(ticket)
        assert again.s.session_reused
        h.use(1)
        h.reload()
        assert h.serial != before and {h.shown() for _ in range(6)} == {h.serial}
        assert old.cmd('RCPT TO:<user@demo.test>')[0] == 250
        assert old.cmd('DATA')[0] == 354
        old.send('Subject: old\r\n\r\nbehind the change\r\n.\r\n')
        assert old.reply()[0] == 250
        for c in (old, idle, again):
            assert c.cmd('MAIL FROM:<a@far.test>')[0] == 250
            assert c.cmd('RSET')[0] == 250
        assert not h.secure(again.s.session).s.session_reused
        for c in (old, idle, again):
            c.close()
        h.wait_mail()
        h.settled()


@pytest.mark.parametrize('certificate, key, what', [
    (lambda h: b'no certificate\n', None, 'no usable certificate'),
    (lambda h: h.pairs[1][0][:-60], None, 'bad end line'),
    (lambda h: h.pairs[1][0], None, 'the key does not belong to the certificate'),
    (None, lambda h: b'', 'no usable private key'),
    (None, lambda h: encrypted(h.pairs[0][1]), 'passphrase'),
], ids=['none', 'half', 'other', 'no-key', 'passphrase'])
def test_a_bad_certificate_leaves_the_old_one(certificate, key, what):
    with LiveTls(pairs=2) as h:
        session = h.secure()
        pair = h.pairs[0]
        h.install(certificate(h) if certificate else pair[0], key(h) if key else pair[1])
        h.rewrite()
        h.hup()
        line = h.wait_log('mtad.reload.refused')
        assert re.search(r'mansio\.conf:\d+', line) and f'{h.dir}/etc/' in line and what in line, line
        h.wait_log('mtad.reload.kept', generation=1)
        assert h.shown() == h.serial
        assert session.cmd('NOOP')[0] == 250
        h.use(1)
        h.reload()
        assert h.shown() == h.serial


def encrypted(key):
    import subprocess
    return subprocess.run(['openssl', 'pkey', '-aes256', '-passout', 'pass:x'], input=key, capture_output=True, check=True).stdout


def test_new_tables_serve_new_sessions_and_old_ones_the_old(live):
    old = Raw(live.port)
    old.cmd('EHLO a.test')
    assert old.cmd('MAIL FROM:<a@far.test>')[0] == 250
    live.extra = (f'map others {{ type = inline entries = [ "other@demo.test user/" ] }}\n'
                  f'mailbox others {{ lookup = others root = "@DIR@/mail" {live.owner()} }}')
    live.reload()
    assert old.cmd('RCPT TO:<other@demo.test>')[0] == 550
    assert old.cmd('RCPT TO:<user@demo.test>')[0] == 250
    new = Raw(live.port)
    new.cmd('EHLO a.test')
    assert new.cmd('MAIL FROM:<a@far.test>')[0] == 250
    assert new.cmd('RCPT TO:<other@demo.test>')[0] == 250
    new.close()
    old.close()
    live.settled()
    assert live.send('other@demo.test')
    live.wait_mail()
    # What both have is read once, by the configuration that came first.
    assert len(live.log_lines('mapd.map.loaded', map='users')) == 1
    live.extra = ''
    live.reload()
    live.settled()
    new = Raw(live.port)
    new.cmd('EHLO a.test')
    new.cmd('MAIL FROM:<a@far.test>')
    assert new.cmd('RCPT TO:<other@demo.test>')[0] == 550


def test_a_new_table_that_cannot_be_read_is_refused_with_its_line(live):
    (live.dir / 'etc/bad').write_text('fine@demo.test user/\nlonely\n')
    live.extra = 'map bad { type = text source = "@DIR@/etc/bad" }'
    live.rewrite()
    live.hup()
    assert 'etc/bad:2' in live.wait_log('mtad.reload.failed', kept=1)
    live.wait_log('mtad.generation.ended', generation=2)
    assert live.send('user@demo.test')
    live.extra = ''
    live.reload()
    assert live.send('user@demo.test')
    live.wait_mail(count=2)


def test_mapd_may_crash_while_two_generations_live(live):
    old = Raw(live.port)
    old.cmd('EHLO a.test')
    assert old.cmd('MAIL FROM:<a@far.test>')[0] == 250
    live.extra = (f'map others {{ type = inline entries = [ "other@demo.test user/" ] }}\n'
                  f'mailbox others {{ lookup = others root = "@DIR@/mail" {live.owner()} }}')
    live.reload()
    live.kill('mapd')
    live.wait_log('mtad.child.ready', child='mapd[0]')
    wait_for('the old generation is served', lambda: old.cmd('RCPT TO:<user@demo.test>')[0] == 250)
    assert old.cmd('RCPT TO:<other@demo.test>')[0] == 550
    wait_for('the new one too', lambda: live.send('other@demo.test'))
    old.close()
    live.settled()
    live.wait_mail()


def test_a_reload_waits_for_a_mapd_that_starts_again(live):
    done, waits = live.count('mtad.reload.done'), live.count('mtad.reload.waits')
    for _ in range(3):                          # each time mtad takes longer to start it again
        ended = live.count('mtad.child.ended')
        wait_for('mapd', lambda: live.pids().get('mapd'))
        live.kill('mapd')
        live.wait_log('mtad.child.ended', count=ended + 1, child='mapd[0]')
    live.hup()
    live.wait_log('mtad.reload.waits', count=waits + 1)
    live.wait_log('mtad.reload.done', count=done + 1)
    live.settled()


def test_the_queue_follows(live):
    live.queue = 'deliver = no'
    live.reload()
    live.wait_log('queue.conf.changed', generation=2)
    message = live.send('user@demo.test')
    live.wait_log('queue.message.stored', id=message)
    live.settled()
    assert not live.mailbox()
    live.queue = ''
    live.reload()
    live.wait_mail()


def test_what_needs_a_restart_is_said(live):
    live.hostname = 'other.demo.test'
    live.rewrite()
    path = live.dir / 'etc/mansio.conf'
    path.write_text(path.read_text().replace('mapd_workers = 2', '').replace('processes {', 'processes { mapd_workers = 3 ', 1))
    live.hup()
    assert 'processes.mapd_workers needs a restart' in live.wait_log('mtad.reload.refused')
    assert banner(live) == 'mail.demo.test'


def test_processes_of_a_new_generation_that_fail_leave_the_old_one(live):
    """A certificate that is there but is none."""
    (live.dir / 'etc/cert.pem').write_text('no certificate\n')
    live.extra = 'tls default { certificate = "@DIR@/etc/cert.pem" }'
    live.rewrite()
    live.hup()
    wait_for('a refusal', lambda: live.log_lines('mtad.reload.refused') or live.log_lines('mtad.reload.failed'),
             explain=live.log_tail)
    assert live.send('user@demo.test')
    live.extra = ''
    live.reload()
    live.settled()


@pytest.mark.parametrize('name', ['cleanup', 'smtpd', 'deliverd', 'queued', 'dnsd'])
def test_crashes_while_two_generations_live(live, name):
    old = Raw(live.port)
    old.cmd('EHLO a.test')
    assert old.cmd('MAIL FROM:<a@far.test>')[0] == 250
    live.reload()
    live.kill(name)
    live.wait_log('mtad.child.ended')
    wait_for('mail is taken', lambda: attempt(live))
    live.wait_mail()
    if name != 'smtpd':             # its clients end with it
        wait_for('the old session lives', lambda: old.cmd('RSET')[0] == 250 or True)
    old.close()
    live.settled()
    assert live.send('user@demo.test')


def attempt(h):
    import smtplib
    try:
        return h.send('user@demo.test')
    except (OSError, smtplib.SMTPException):
        return None

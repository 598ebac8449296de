"""host.py - one private mail host per test: configuration, start, log, kills, mailboxes, stop.

Everything lies below a directory of its own; ports are free ones; nothing sleeps for luck: wait_* poll for an event
with a deadline and fail with the log's tail.
"""
import contextlib, os, pathlib, re, select, shutil, signal, smtplib, socket, subprocess, tempfile, time

BUILD = pathlib.Path(os.environ.get('MANSIO_BUILD') or pathlib.Path(__file__).resolve().parents[2] / 'build/check')
ROOT = pathlib.Path(__file__).resolve().parents[2]
IS_ROOT = os.getuid() == 0
# In a chroot the root is no mount point and has no mount namespaces.
HAS_MOUNTS = IS_ROOT and subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode == 0
DEADLINE = float(os.environ.get('MANSIO_DEADLINE', '60'))


GIVEN = set()


def free_port(host='127.0.0.1', kind=socket.SOCK_STREAM):
    """A port nobody listens on now. Taken from below the ephemeral range, so that no outgoing connection of a
    parallel test grabs it in the meantime."""
    import random
    for _ in range(1000):
        port = random.randint(11000, 32000)
        if port in GIVEN:       # a host takes several before it listens on any
            continue
        with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, kind) as s:
            try:
                s.bind((host, port))
                GIVEN.add(port)
                return port
            except OSError:
                continue
    raise RuntimeError('no free port')


def wait_for(what, check, deadline=DEADLINE, step=0.02, explain=lambda: ''):
    """Calls check until it gives something true, which is returned."""
    end = time.monotonic() + deadline
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'not within {deadline:.0f} s: {what}\n{explain()}')
        time.sleep(step)


class Host:
    """with Host(tmp, conf='...') as h: h.send(...); h.wait_log('smtp.message.accepted')"""

    def __init__(self, conf='', domains=('demo.test',), users=('user', 'postmaster'), listen=None, relay_from=(),
                 hostname='mail.demo.test', dns=None, mtad=(), base=None, demo_mailbox=True, env=None):
        self.dir = pathlib.Path(base or tempfile.mkdtemp(prefix='mansio-test-'))
        self.own_dir = base is None
        self.port = free_port()
        self.extra = conf
        self.domains, self.users, self.relay_from, self.hostname, self.dns = domains, users, relay_from, hostname, dns
        self.listen = listen or f'listen smtp {{ address = [ "127.0.0.1:{self.port}" ] }}'
        self.mtad_options = list(mtad)
        self.demo_mailbox = demo_mailbox
        self.env = dict(os.environ, **(env or {}))
        self.proc = None
        self.ready = ''
        self.log_path = self.dir / 'log/mansio.log'

    # ---- configuration ----
    def conf_text(self):
        quoted = lambda xs: '[ ' + ', '.join(f'"{x}"' for x in xs) + ' ]'
        text = [f'hostname = {self.hostname}', f'domains = {quoted(self.domains)}', self.listen,
                f'queue {{ directory = "{self.dir}/spool" {self.queue_fields()} }}',
                f'processes {{ runtime = "{self.dir}/run" state = "{self.dir}/state" }}',
                f'log {{ to = "{self.log_path}" }}']
        if self.relay_from:
            text.append(f'relay {{ from = {quoted(self.relay_from)} }}')
        if self.dns:
            text.append(f'dns {{ servers = {quoted(self.dns)} timeout = 1s attempts = 1 }}')
        if self.demo_mailbox:
            text.append(f'map users {{ type = lmdb source = "{self.dir}/etc/users" }}')
            text.append(f'mailbox demo {{ lookup = users root = "{self.dir}/mail" {self.owner()} }}')
            text.append(f'mailbox postmaster {{ root = "{self.dir}/mail" path = "postmaster/" {self.owner()} }}')
        text.append(self.extra.replace('@DIR@', str(self.dir)))
        return '\n'.join(text) + '\n'

    def queue_fields(self):
        return getattr(self, 'queue', '')

    def owner(self):
        return 'owner = mansio-vmail'

    def write(self):
        for d in ('etc', 'log', 'mail', 'run', 'state'):
            (self.dir / d).mkdir(parents=True, exist_ok=True)
        if IS_ROOT:
            shutil.chown(self.dir / 'mail', 'mansio-vmail', 'mansio-vmail')
        (self.dir / 'etc/users').write_text(''.join(f'{u}@{self.domains[0]} {u}/\n' for u in self.users))
        (self.dir / 'etc/mansio.conf').write_text(self.conf_text())
        for p in (self.dir / 'etc/users', self.dir / 'etc/mansio.conf'):
            p.chmod(0o644)
        return self.dir / 'etc/mansio.conf'

    # ---- life ----
    def start(self, expect_ready=True, deadline=60):
        conf = self.write()
        r, w = os.pipe()
        self.proc = subprocess.Popen([str(BUILD / 'bin/mtad'), '-c', str(conf), '-F', '--ready-fd', str(w), *self.mtad_options],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     pass_fds=[w], env=self.env, start_new_session=True)
        os.close(w)
        if not expect_ready:
            os.close(r)
            return self
        ok, _, _ = select.select([r], [], [], deadline)
        self.ready = os.read(r, 4096).decode() if ok else ''
        os.close(r)
        if not self.ready.startswith('ready'):
            out = self.stop_hard()
            raise AssertionError(f'mtad did not come up: {out}\n{self.log_tail()}')
        return self

    def __enter__(self):
        return self.start() if not self.proc else self

    def __exit__(self, *exc):
        try:
            self.stop()
        finally:
            if self.own_dir and not (exc and exc[0]):
                shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self, deadline=90):
        """SIGTERM; returns mtad's exit status. Fails the test when a sanitizer has spoken."""
        if not self.proc:
            return None
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(deadline)
            except subprocess.TimeoutExpired:
                out = self.stop_hard()
                raise AssertionError(f'mtad did not stop\n{out}\n{self.log_tail()}')
        out = self.proc.stdout.read().decode(errors='replace')
        code = self.proc.returncode
        self.proc = None
        assert 'Sanitizer' not in out and 'runtime error' not in out, out
        return code

    def stop_hard(self):
        if not self.proc:
            return ''
        with contextlib.suppress(ProcessLookupError):
            self.proc.kill()
        out = self.proc.communicate(timeout=30)[0].decode(errors='replace')
        self.proc = None
        return out

    def kill_mtad(self):
        """kill -9 of mtad; waits until every child has ended with it."""
        children = self.pids()
        self.proc.kill()
        self.proc.wait()
        self.proc = None
        wait_for('children end with mtad', lambda: not [p for ps in children.values() for p in ps if alive(p)])

    def restart(self):
        self.stop()
        return self.start()

    # ---- processes ----
    def pids(self):
        """{daemon name: [pids]} of mtad's children."""
        found = {}
        for p in pathlib.Path('/proc').glob('[0-9]*'):
            try:
                stat = (p / 'stat').read_text()
            except OSError:
                continue
            name = stat[stat.index('(') + 1:stat.rindex(')')]
            rest = stat[stat.rindex(')') + 2:].split()
            if self.proc and int(rest[1]) == self.proc.pid and rest[0] != 'Z':
                found.setdefault(name, []).append(int(p.name))
        return found

    def kill(self, name, sig=signal.SIGKILL):
        for pid in self.pids().get(name, []):
            with contextlib.suppress(ProcessLookupError):
                halt(pid) if sig == signal.SIGSTOP else os.kill(pid, sig)

    # ---- log ----
    def log(self):
        try:
            return self.log_path.read_text(errors='replace')
        except OSError:
            return ''

    def log_lines(self, event=None, **keys):
        """Lines with this event and these key=value pairs."""
        found = []
        for line in self.log().splitlines():
            if event and f'event={event} ' not in line + ' ':
                continue
            if all(f' {k}={v} ' in line + ' ' or f' {k}="{v}"' in line for k, v in keys.items()):
                found.append(line)
        return found

    def log_tail(self, n=60):
        return '\n'.join(self.log().splitlines()[-n:])

    def wait_log(self, event, deadline=DEADLINE, count=1, **keys):
        lines = wait_for(f'log line {event} {keys} (x{count})',
                         lambda: (lambda ls: ls if len(ls) >= count else None)(self.log_lines(event, **keys)),
                         deadline, explain=self.log_tail)
        return lines[0] if count == 1 else lines

    # ---- mail ----
    def smtp(self, **kw):
        return smtplib.SMTP('127.0.0.1', self.port, timeout=DEADLINE, **kw)

    def send(self, to, body='Subject: t\r\n\r\nhello\r\n', sender='stranger@far.test', port=None):
        """One message; returns the id of the final 250. Raises smtplib's exceptions on refusal."""
        to = [to] if isinstance(to, str) else to
        with smtplib.SMTP('127.0.0.1', port or self.port, timeout=DEADLINE) as s:
            s.ehlo('client.far.test')
            code, text = s.mail(sender)
            if code != 250:
                raise smtplib.SMTPSenderRefused(code, text, sender)
            for r in to:
                code, text = s.rcpt(r)
                if code != 250:
                    raise smtplib.SMTPRecipientsRefused({r: (code, text)})
            code, text = s.data(body)
            if code != 250:
                raise smtplib.SMTPDataError(code, text)
            return re.search(rb'([0-9A-Z]{13})', text).group(1).decode()

    def mailbox(self, user='user'):
        """Messages in a Maildir: list of bytes, LF line ends as stored."""
        box = self.dir / 'mail' / user
        return [p.read_bytes() for d in ('new', 'cur') for p in sorted((box / d).glob('*')) if p.is_file()]

    def wait_mail(self, user='user', count=1, deadline=DEADLINE):
        return wait_for(f'{count} messages for {user}',
                        lambda: (lambda ms: ms if len(ms) >= count else None)(self.mailbox(user)), deadline,
                        explain=lambda: f'{len(self.mailbox(user))} are there\n{self.log_tail()}')


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def halt(pid):
    """SIGSTOP, and all its threads stand: until then it may take what was meant for another, as a connection."""
    def stand():
        try:
            return all(task.read_text().rpartition(')')[2].split()[0] in 'TtZX' for task in pathlib.Path(f'/proc/{pid}/task').glob('*/stat'))
        except OSError:     # one of them has ended meanwhile
            return False
    os.kill(pid, signal.SIGSTOP)
    wait_for(f'process {pid} stands', stand)


class Raw:
    """A bare SMTP client: sends exactly the bytes it is told."""

    def __init__(self, port, host='127.0.0.1', greet=True):
        self.s = socket.create_connection((host, port), timeout=DEADLINE)
        self.buf = b''
        if greet:
            assert self.reply()[0] == 220

    def send(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b'\n' not in self.buf:
            got = self.s.recv(65536)
            if not got:
                raise EOFError(self.buf)
            self.buf += got
        line, self.buf = self.buf.split(b'\n', 1)
        return line.rstrip(b'\r').decode()

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == '-':
            lines.append(self.line())
        return int(lines[-1][:3]), '\n'.join(lines)

    def cmd(self, text):
        self.send(text + '\r\n')
        return self.reply()

    def closed(self, deadline=DEADLINE):
        """True when the server closes the connection (what it still says is dropped)."""
        self.s.settimeout(deadline)
        try:
            while self.s.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.s.close()

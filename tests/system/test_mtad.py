"""mtad with daemons of no trade (tests/unit/proc/part.c under all names): order, readiness, restarts, edges, drain,
log targets, refusals to start. The real daemons are not needed here."""
import os, pathlib, re, shutil, signal, socket, subprocess, time

import pytest

from host import BUILD, IS_ROOT, Host, alive, wait_for

PARTS = BUILD / 'tests/parts'


class Parts(Host):
    def __init__(self, **kw):
        super().__init__(**kw)
        self.mtad_options = ['--programs', str(PARTS)] + self.mtad_options

    def conf_text(self):
        text = super().conf_text()
        return text.replace('processes {', 'processes { smtpd = 2 deliverd = 2 drain = 5s ', 1)


@pytest.fixture
def parts():
    with Parts() as h:
        yield h


def starts(h):
    return re.findall(r'mansio/([a-z-]+)\[\d+\]: INFO event=part\.start', h.log())


def test_order_of_the_start(parts):
    assert [s for i, s in enumerate(starts(parts)) if s not in starts(parts)[:i]] == \
        ['dnsd', 'mapd', 'mapd-worker', 'queued', 'cleanup', 'deliverd', 'smtpd', 'historyd']
    assert parts.ready == f'ready smtp=127.0.0.1:{parts.port}\n'
    assert sorted((n, len(p)) for n, p in parts.pids().items()) == \
        [('cleanup', 1), ('deliverd', 2), ('dnsd', 1), ('historyd', 1), ('mapd', 1), ('mapd-worker', 2), ('queued', 1), ('smtpd', 2)]


def test_order_of_the_stop(parts):
    assert parts.stop() == 0
    drained = re.findall(r'mansio/([a-z-]+)\[\d+\]: INFO event=part\.drain', parts.log())
    assert drained[:2] == ['smtpd'] * 2 and drained[2] == 'cleanup'
    assert sorted(drained[3:6]) == ['deliverd', 'deliverd', 'queued']
    assert sorted(drained[6:]) == ['dnsd', 'historyd', 'mapd', 'mapd-worker', 'mapd-worker']


def test_a_crash_is_explained_and_repaired(parts):
    old = parts.pids()['cleanup'][0]
    os.kill(old, signal.SIGSEGV)
    line = parts.wait_log('mtad.child.ended')
    assert 'child=cleanup[0]' in line and 'signal 11 (SEGV)' in line and 'restart_in=0.100' in line
    parts.wait_log('mtad.child.ready', child='cleanup[0]')
    assert parts.pids()['cleanup'] != [old]
    # Both sides get new ends: the new one is told that its peers lived, they that it is new.
    parts.wait_log('part.gone', peer='cleanup', count=5)            # queued, mapd, historyd, two smtpd
    wait_for('edges', lambda: len(re.findall(r'smtpd\[\d+\]: INFO event=part\.edge peer=cleanup index=0 lived=0',
                                             parts.log())) == 2)
    assert re.search(r'queued\[\d+\]: INFO event=part\.edge peer=cleanup index=0 lived=0 *$', parts.log(), re.M)


def test_a_restarted_queued_is_told_which_deliverd_lived(parts):
    before = len(parts.log())
    parts.kill('queued')
    parts.wait_log('mtad.child.ready', child='queued[0]')
    tail = parts.log()[before:]
    assert len(re.findall(r'queued\[\d+\]: INFO event=part\.edge peer=deliverd index=[01] lived=1', tail)) == 2
    assert len(re.findall(r'deliverd\[\d+\]: INFO event=part\.edge peer=queued index=0 lived=0', tail)) == 2
    os.kill(parts.pids()['deliverd'][0], signal.SIGKILL)
    wait_for('queued hears of the end', lambda: re.search(r'queued\[\d+\]: INFO event=part\.gone peer=deliverd',
                                                         parts.log()[before:]))


def test_backoff_doubles(parts):
    for n, pause in enumerate(('0.100', '0.200', '0.400')):
        parts.kill('dnsd')
        parts.wait_log('mtad.child.ended', restart_in=pause)
        parts.wait_log('mtad.child.ready', child='dnsd[0]', count=n + 1)


def test_a_child_ended_alone_comes_back(parts):
    os.kill(parts.pids()['mapd'][0], signal.SIGTERM)
    assert 'exit 0' in parts.wait_log('mtad.child.ended', child='mapd[0]')
    parts.wait_log('mtad.child.ready', child='mapd[0]')


def test_all_daemons_killed_at_once_come_back(parts):
    for name, pids in parts.pids().items():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    parts.wait_log('mtad.child.ready', count=11)
    assert sum(map(len, parts.pids().values())) == 11
    assert parts.stop() == 0


def test_kill_of_mtad_ends_everything(parts):
    parts.kill_mtad()


def test_ctrl_c_reaches_only_mtad():
    with Parts() as h:
        os.killpg(h.proc.pid, signal.SIGINT)
        assert h.proc.wait(30) == 0
        h.proc = None
        assert len(h.log_lines('part.drain')) == 11 and not h.log_lines('proc.signal')


def test_a_daemon_that_cannot_start_stops_everything():
    h = Parts(mtad=['--fault', 'part.start:EIO'])
    h.start(expect_ready=False)
    assert h.proc.wait(30) == 1
    h.proc = None
    assert 'child=dnsd[0]' in h.log_lines('mtad.start.failed')[0]
    assert h.log_lines('proc.start.failed') and len(starts(h)) == 0
    h.__exit__(None)


def test_a_late_daemon_that_cannot_start_stops_those_before(tmp_path):
    for p in (BUILD / 'bin').iterdir():
        (tmp_path / p.name).symlink_to(p)
    (tmp_path / 'deliverd').unlink()
    shutil.copy('/bin/false', tmp_path / 'deliverd')
    h = Host(mtad=['--programs', str(tmp_path)])
    h.start(expect_ready=False)
    assert h.proc.wait(30) == 1
    out = h.proc.stdout.read().decode()
    h.proc = None
    assert 'child=deliverd[' in h.log_lines('mtad.start.failed')[0] and h.log_lines('mtad.child.stopped') and 'runtime error' not in out, out
    h.__exit__(None)


def test_hup_starts_a_generation(parts):
    before, started = parts.pids(), starts(parts)
    parts.proc.send_signal(signal.SIGHUP)
    parts.wait_log('mtad.reload.done', generation=2)
    parts.wait_log('mtad.generation.ended', generation=1)
    after = parts.pids()
    for name in ('queued', 'mapd', 'mapd-worker'):
        assert sorted(after[name]) == sorted(before[name]), name
    for name in ('dnsd', 'cleanup', 'deliverd', 'smtpd'):
        assert len(after[name]) == len(before[name]) and not set(after[name]) & set(before[name]), name
    new = starts(parts)[len(started):]
    assert [s for i, s in enumerate(new) if s not in new[:i]] == ['dnsd', 'cleanup', 'deliverd', 'smtpd']


def test_logrotate(parts):
    rotated = parts.log_path.with_suffix('.1')
    parts.log_path.rename(rotated)
    parts.proc.send_signal(signal.SIGUSR1)
    wait_for('the new file', parts.log_path.exists)
    parts.kill('dnsd')
    parts.wait_log('part.gone', peer='dnsd', count=4)          # smtpd and deliverd write to the new file
    assert 'part.gone' not in rotated.read_text()


def test_a_second_mtad_is_refused(parts):
    conf = parts.dir / 'etc/mansio.conf'
    run = subprocess.run([BUILD / 'bin/mtad', '-c', conf, *parts.mtad_options], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and f'another mtad runs here (pid {parts.proc.pid}' in run.stderr
    assert alive(parts.proc.pid)


def refused(h, *words):
    conf = h.write()
    run = subprocess.run([BUILD / 'bin/mtad', '-c', conf, *h.mtad_options], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    for w in words:
        assert w in run.stderr, run.stderr
    h.__exit__(None)


def test_a_taken_address_is_named_with_its_line():
    h = Parts()
    with socket.create_server(('127.0.0.1', h.port)):
        refused(h, 'mansio.conf:3', f'127.0.0.1:{h.port}', 'Address already in use', 'another mail server')


def test_a_jail_that_is_not_empty_is_refused():
    h = Parts()
    h.write()
    (h.dir / 'run/jail').mkdir()
    (h.dir / 'run/jail/passwd').write_text('')
    refused(h, 'run/jail must be empty', 'passwd')


@pytest.mark.skipif(not IS_ROOT, reason='needs root')
def test_a_missing_user_is_named_with_the_remedy():
    refused(Parts(conf='users { dnsd = mansio-nobody-has-this }'), 'there is no user mansio-nobody-has-this', 'useradd --system',
            'mansio.conf:')


@pytest.mark.skipif(not IS_ROOT, reason='needs root')
def test_root_is_no_user_for_a_daemon():
    refused(Parts(conf='users { dnsd = root }'), 'mansio.conf:', 'root')


@pytest.mark.skipif(not IS_ROOT, reason='needs root')
def test_a_spool_of_somebody_else_is_refused():
    h = Parts()
    h.write()
    (h.dir / 'spool').mkdir()
    os.chown(h.dir / 'spool', 12345, 12345)
    refused(h, 'belongs to uid 12345', 'chown -R mansio-queued:')


@pytest.mark.skipif(not IS_ROOT, reason='needs root')
def test_a_directory_of_root_is_given_away_only_when_empty():
    h = Parts()
    h.write()
    (h.dir / 'spool').mkdir()
    (h.dir / 'spool/shadow').write_text('a file, not a directory')
    refused(h, 'belongs to root and is not empty', 'shadow', 'chown -R mansio-queued:')


@pytest.mark.skipif(not IS_ROOT, reason='needs root')
def test_a_file_system_of_its_own_is_empty_with_lost_and_found():
    h = Parts()
    h.write()
    (h.dir / 'spool/lost+found').mkdir(parents=True)
    with h:
        assert len(starts(h)) == 11
        assert os.stat(h.dir / 'spool/lost+found').st_uid == 0


def test_a_deep_directory_works(tmp_path):
    deep = tmp_path / ('x' * 100) / ('y' * 100)
    deep.mkdir(parents=True)
    with Parts(base=deep) as h:
        assert len(starts(h)) == 11


@pytest.mark.skipif(not IS_ROOT, reason='needs root')
def test_without_root_it_is_said_loudly(tmp_path):
    h = Parts()
    h.write()
    subprocess.run(['chown', '-R', '65534:65534', h.dir], check=True)
    h.dir.chmod(0o755)
    run = subprocess.Popen(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', BUILD / 'bin/mtad', '-c',
                            h.dir / 'etc/mansio.conf', *h.mtad_options], start_new_session=True)
    try:
        h.wait_log('mtad.ready')
        assert 'NOT STARTED BY ROOT' in h.wait_log('mtad.unprivileged')
    finally:
        run.terminate()
        assert run.wait(30) == 0
    h.__exit__(None)


def notify_socket(tmp_path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(str(tmp_path / 'n'))
    s.settimeout(30)
    return s


def test_systemd_is_told(tmp_path):
    s = notify_socket(tmp_path)
    with Parts(env={'NOTIFY_SOCKET': str(tmp_path / 'n')}) as h:
        assert s.recv(1000).startswith(b'READY=1\n')
        assert not [p for ps in h.pids().values() for p in ps
                    if b'NOTIFY_SOCKET' in pathlib.Path(f'/proc/{p}/environ').read_bytes()]
        h.stop()
        assert s.recv(1000).startswith(b'STOPPING=1\n')


def test_children_have_a_clean_environment(parts):
    for pids in parts.pids().values():
        for pid in pids:
            env = pathlib.Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')
            names = {e.split(b'=')[0] for e in env if e}
            assert names <= {b'PATH', b'TZ', b'ASAN_OPTIONS', b'UBSAN_OPTIONS', b'GCOV_PREFIX', b'GCOV_PREFIX_STRIP',
                             b'LLVM_PROFILE_FILE'}, names


def test_syslog_restart_loses_nothing(tmp_path):
    """/dev/log in a mount namespace of our own: a collector that goes away and comes back."""
    if not IS_ROOT or os.path.exists('/dev/log'):
        pytest.skip('needs root and no syslog of the host')
    path = '/dev/log'
    h = Parts()
    h.write()
    conf = h.dir / 'etc/mansio.conf'
    conf.write_text(re.sub(r'log \{[^}]*\}', 'log { to = syslog }', conf.read_text()))

    def collector():
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(path)
        os.chmod(path, 0o666)
        s.settimeout(0.2)
        return s

    def read(s, until, got):
        end = time.monotonic() + 30
        while not re.search(until, got[0]):
            assert time.monotonic() < end, (until, got[0][-30000:])
            try:
                got[0] += s.recv(8192).decode() + '\n'
            except TimeoutError:
                pass

    s, got = collector(), ['']
    run = subprocess.Popen([BUILD / 'bin/mtad', '-c', conf, *h.mtad_options], start_new_session=True)
    try:
        read(s, 'event=mtad.ready', got)
        assert re.search(r'^<22>[A-Z][a-z]{2} [ \d]\d [\d:]{8} mansio/mtad\[\d+\]: event=mtad\.ready', got[0], re.M)
        s.close()
        os.unlink(path)
        h.proc = run
        old = h.pids()['dnsd'][0]
        os.kill(old, signal.SIGKILL)            # everybody logs into nothing
        wait_for('restart', lambda: h.pids().get('dnsd', [old]) != [old])
        s, got = collector(), ['']
        read(s, r'mtad\[\d+\]: event=mtad\.child\.ended child=dnsd', got)
        for daemon in ('smtpd', 'deliverd'):
            read(s, daemon + r'\[\d+\]: event=part\.gone peer=dnsd', got)
        read(s, r'dnsd\[\d+\]: event=part\.start', got)
    finally:
        h.proc = None
        run.terminate()
        run.wait(30)
        s.close()
        os.unlink(path)
    h.__exit__(None)

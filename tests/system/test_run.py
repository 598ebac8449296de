"""./run, as README.md says it: a private host, its message, its stop, strange directories, two hosts side by side."""
import pathlib, re, shutil, smtplib, socket, subprocess, tempfile

import pytest

from host import ROOT, free_port, wait_for


def port_base():
    while True:
        base = free_port() - 25
        try:
            for off in (25, 65, 87):
                with socket.socket() as s:
                    s.bind(('127.0.0.1', base + off))
            return base
        except OSError:
            continue


def run(*args, **kw):
    return subprocess.run([str(ROOT / 'run'), *args], capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL, **kw)


def start(directory, base, *more):
    r = run('--dir', str(directory), '--port-base', str(base), '--detach', *more)
    assert r.returncode == 0, r.stderr
    lines = r.stdout.splitlines()
    assert len(lines) == 1, r.stdout
    m = re.fullmatch(r'ready smtp=(\S+) submission=(\S+) submissions=(\S+) dir=(.+)', lines[0])
    assert m, lines[0]
    return m.groups()


@pytest.fixture
def place():
    made = []

    def make(parent=None, name='host'):
        d = pathlib.Path(tempfile.mkdtemp(prefix='mansio-run-', dir=parent)) / name
        made.append(d)
        return d
    yield make
    for d in made:
        if (d / 'run/mtad.pid').exists():
            run('--dir', str(d), '--stop')
        top = d
        while not top.name.startswith('mansio-run-'):
            top = top.parent
        shutil.rmtree(top, ignore_errors=True)


def test_first_message_lies_where_it_says_and_stop_stops(place):
    d, base = place(), port_base()
    smtp, submission, submissions, where = start(d, base)
    assert (smtp, submission, submissions) == (f'127.0.0.1:{base + 25}', f'127.0.0.1:{base + 87}', f'127.0.0.1:{base + 65}')
    assert where == str(d.resolve())
    assert len(list((d / 'mail/user/new').iterdir())) == 1
    with smtplib.SMTP('127.0.0.1', base + 25, timeout=30) as s:
        s.sendmail('a@far.test', ['user@demo.test', 'postmaster@demo.test'], 'Subject: x\r\n\r\ny\r\n')
    wait_for('both mailboxes', lambda: (d / 'mail/postmaster/new').exists() and list((d / 'mail/postmaster/new').iterdir())
             and len(list((d / 'mail/user/new').iterdir())) == 2)
    with smtplib.SMTP('127.0.0.1', base + 25, timeout=30) as s:
        s.ehlo()
        s.mail('a@far.test')
        assert s.rcpt('b@elsewhere.test')[0] == 550, 'no relaying, not even for loopback'
    # The configuration that lies there is enough for the tools to find this host.
    tool = subprocess.run([str(ROOT / 'build/release/bin/mtactl'), '-c', str(d / 'etc/mansio.conf'), 'status'], capture_output=True, text=True, timeout=60)
    assert tool.returncode == 0 and 'all is well' in tool.stdout, tool.stdout + tool.stderr
    again = run('--dir', str(d), '--port-base', str(base), '--detach')
    assert again.returncode != 0 and 'already runs' in again.stderr
    r = run('--dir', str(d), '--stop')
    assert r.returncode == 0, r.stderr
    with pytest.raises(OSError):
        socket.create_connection(('127.0.0.1', base + 25), 1)
    assert run('--dir', str(d), '--stop').returncode != 0, 'nothing to stop is said'


def test_two_hosts_side_by_side_and_a_path_of_200_characters(place):
    a, b = place(), place()
    long = b.parent / ('x' * 60) / ('y' * 60) / ('z' * max(10, 200 - len(str(b.parent)) - 123))
    assert len(str(long)) >= 200
    pa, pb = port_base(), port_base()
    start(a, pa)
    try:
        start(long, pb)
        for p in (pa, pb):
            with smtplib.SMTP('127.0.0.1', p + 25, timeout=30) as s:
                s.sendmail('a@far.test', ['user@demo.test'], 'Subject: x\r\n\r\ny\r\n')
        for d in (a, long):
            wait_for('two messages', lambda: len(list((d / 'mail/user/new').iterdir())) == 2)
    finally:
        assert run('--dir', str(long), '--stop').returncode == 0


@pytest.mark.root
def test_directory_below_a_closed_one(place):
    top = pathlib.Path(tempfile.mkdtemp(prefix='mansio-run-'))
    top.chmod(0o700)
    d = top / 'host'
    base = port_base()
    start(d, base)
    try:
        assert list((d / 'mail/user/new').iterdir())
    finally:
        run('--dir', str(d), '--stop')
        shutil.rmtree(top)


def test_conf_of_ones_own_with_and_without_listeners(place):
    d, base = place(), port_base()
    d.mkdir(parents=True)
    conf = d / 'own.conf'
    conf.write_text('hostname = mx.own.test\ndomains = [ own.test ]\n')
    conf.chmod(0o644)
    smtp, *_ = start(d, base, '--conf', str(conf))
    assert smtp == f'127.0.0.1:{base + 25}'
    with smtplib.SMTP('127.0.0.1', base + 25, timeout=30) as s:
        assert b'mx.own.test' in s.ehlo()[1]
        s.sendmail('a@far.test', ['postmaster@own.test'], 'Subject: x\r\n\r\ny\r\n')
    assert run('--dir', str(d), '--stop').returncode == 0
    other = free_port()
    conf.write_text(f'hostname = mx.own.test\ndomains = [ own.test ]\nlisten smtp {{ address = [ "127.0.0.1:{other}" ] }}\n')
    smtp, submission, *_ = start(d, base, '--conf', str(conf))
    assert smtp == f'127.0.0.1:{other}' and submission == 'none'


def test_broken_conf_starts_nothing(place):
    d = place()
    d.mkdir(parents=True)
    conf = d / 'own.conf'
    conf.write_text('hostname = mx.own.test\ndomain = [ own.test ]\n')
    conf.chmod(0o644)
    r = run('--dir', str(d), '--port-base', str(port_base()), '--detach', '--conf', str(conf))
    assert r.returncode != 0 and 'did you mean "domains"' in r.stderr and 'own.conf:2:1' in r.stderr, r.stderr


@pytest.mark.root
def test_without_root_it_says_so_loudly_and_works(place):
    d, base = place(), port_base()
    d.mkdir(parents=True)
    shutil.chown(d, 'nobody')
    d.parent.chmod(0o755)
    bins = ROOT / 'build/release/bin'
    if subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'test', '-x', str(bins / 'mtad')]).returncode:
        pytest.skip('the tree is not readable for others')
    r = subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', str(ROOT / 'run'), '--dir', str(d), '--port-base', str(base), '--detach'],
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stderr
    assert 'NOT ROOT' in r.stderr
    try:
        assert list((d / 'mail/user/new').iterdir())
    finally:
        subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', str(ROOT / 'run'), '--dir', str(d), '--stop'], check=True, capture_output=True)


def test_wrong_options_are_explained():
    for args, words in ((['--port-base', 'x'], 'takes a number'), (['--nonsense'], 'unknown option'), (['--dir'], 'needs a value'),
                        (['--conf', '/nonexistent'], 'cannot read')):
        r = run(*args)
        assert r.returncode in (64, 66) and words in r.stderr, (args, r.stderr)

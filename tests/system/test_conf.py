"""A mistake in each section is reported with file:line:column and a suggestion; nothing starts half."""
import os, subprocess

import pytest

from host import BUILD, ROOT, Host

MISTAKES = [
    # section, text, line and column of the report, words that must stand in it
    ('top', 'hostnam = mx.demo.test\n', '1:1', 'did you mean "hostname"'),
    ('top', 'hostname = mx.demo.test\nhostname = b.demo.test\n', '2:1', 'hostname'),
    ('domains', 'domains = [ demo.test, -bad-.test ]\n', '1:24', '-bad-.test'),
    ('listen', 'listen smtp { addres = [ "127.0.0.1:25" ] }\n', '1:15', 'did you mean "address"'),
    ('listen', 'listen smtp { address = [ "127.0.0.1:99999" ] }\n', '1:27', '99999'),
    ('listen', 'listen smtp { address = [ "127.0.0.1:2525" ] timeout = 5x }\n', '1:56', '5x'),
    ('listen', 'listen smtp { address = [ "127.0.0.1:2525" ]\n', '1:', 'listen'),
    ('relay', 'relay { from = [ 10.0.0.0/33 ] }\n', '1:18', '10.0.0.0/33'),
    ('map', 'map m { type = lmbd source = /etc/passwd }\n', '1:16', 'did you mean "lmdb"'),
    ('map', 'map m { type = text source = /nonexistent/file }\n', '1:30', '/nonexistent/file'),
    ('address', 'map aliases { type = inline entries = [ "a b" ] }\naddress { aliases = alias }\n', '2:21', 'did you mean "aliases"'),
    ('mailbox', 'mailbox { metod = maildir }\n', '1:11', 'did you mean "method"'),
    ('route', 'route default { family = ipv5 }\n', '1:26', 'did you mean "ipv4"'),
    ('queue', 'queue { expire_after = 4y }\n', '1:24', '4y'),
    ('queue', 'queue { warn_after = 4h warn_after = 5h }\n', '1:25', 'warn_after'),
    ('log', 'log { level = loud }\n', '1:15', 'loud'),
    ('dns', 'dns { servers = [ "not an address" ] }\n', '1:19', 'not an address'),
    ('users', 'users { smptd = nobody }\n', '1:9', 'did you mean "smtpd"'),
    ('tls', 'tls { certificate = /nonexistent.pem key = /nonexistent.key }\n', '1:21', '/nonexistent.pem'),
    ('processes', 'processes { smtpd = 1000 }\n', '1:21', 'smtpd'),
    ('unknown', 'maibox { }\n', '1:1', 'did you mean "mailbox"'),
]


def check(tmp_path, text, *options, what='-n'):
    conf = tmp_path / 'mansio.conf'
    conf.write_text(text)
    conf.chmod(0o644)
    return conf, subprocess.run([str(BUILD / 'bin/mtad'), what, '-c', str(conf), *options], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize('section,text,at,words', MISTAKES)
def test_mistake_is_located(tmp_path, section, text, at, words):
    conf, r = check(tmp_path, text if section == 'top' else text + 'hostname = mx.demo.test\n')
    assert r.returncode != 0
    where = [l for l in r.stderr.splitlines() if l.startswith(f'{conf}:{at}')]
    assert where, r.stderr
    assert words in r.stderr, r.stderr
    lines = r.stderr.splitlines()
    i = lines.index(where[0])
    assert lines[i + 2].strip() == '^' or '^' in lines[i + 2], r.stderr


def test_ten_errors_at_most(tmp_path):
    _, r = check(tmp_path, 'hostname = mx.demo.test\n' + ''.join(f'nonsense{i} = 1\n' for i in range(30)))
    assert len([l for l in r.stderr.splitlines() if l.startswith(str(tmp_path))]) == 10
    assert r.returncode != 0


def test_good_configuration_is_silent(tmp_path):
    _, r = check(tmp_path, 'hostname = mx.demo.test\ndomains = [ demo.test ]\n')
    assert r.returncode == 0, r.stderr


def test_effective_values_are_printed_and_read_back(tmp_path):
    text = f'hostname = mx.demo.test\nmailbox postmaster {{ root = "{tmp_path}" }}\n'
    conf, r = check(tmp_path, text, '-o', 'queue { warn_after = 2h }', what='--config')
    assert r.returncode == 0, r.stderr
    assert f'hostname = mx.demo.test    # {conf}:1' in r.stdout
    assert 'warn_after = 2h' in r.stdout and '# default' in r.stdout
    _, again = check(tmp_path, r.stdout)
    assert again.returncode == 0, again.stderr
    _, r = check(tmp_path, 'hostnam = x\n', what='--config')
    assert r.returncode != 0 and not r.stdout and 'did you mean "hostname"' in r.stderr


def test_sample_configuration_is_good(tmp_path):
    sample = (ROOT / 'etc/mansio.conf').read_text()
    _, r = check(tmp_path, sample, '-o', 'hostname = mx.demo.test')  # the machine's own name may have no dot
    assert r.returncode == 0, r.stderr


@pytest.mark.root
def test_file_writable_by_others_is_refused(tmp_path):
    conf = tmp_path / 'mansio.conf'
    conf.write_text('hostname = mx.demo.test\n')
    conf.chmod(0o666)
    r = subprocess.run([str(BUILD / 'bin/mtad'), '-n', '-c', str(conf)], capture_output=True, text=True)
    assert r.returncode != 0 and 'writable' in r.stderr and 'chmod' in r.stderr


def test_nothing_starts_half():
    h = Host(conf='route default { via = "x y z" }')
    h.start(expect_ready=False)
    out, _ = h.proc.communicate(timeout=60)
    assert h.proc.returncode != 0 and b'via' in out
    assert not h.pids()
    h.proc = None
    assert not (h.dir / 'spool/seg').exists()


def test_port_in_use_is_told_with_the_line_of_the_configuration():
    import socket
    h = Host()
    with socket.socket() as s:
        s.bind(('127.0.0.1', h.port))
        s.listen()
        h.start(expect_ready=False)
        out, _ = h.proc.communicate(timeout=60)
        text = out.decode() + h.log()
        assert h.proc.returncode != 0 and 'mansio.conf:' in text and str(h.port) in text, text
        h.proc = None


def test_second_host_on_the_same_spool_is_refused():
    with Host() as h:
        other = Host(base=h.dir)
        other.log_path = h.dir / 'log/other.log'
        other.start(expect_ready=False)
        out, _ = other.proc.communicate(timeout=90)
        assert other.proc.returncode != 0, out
        other.proc = None
        h.send('user@demo.test')
        h.wait_mail()

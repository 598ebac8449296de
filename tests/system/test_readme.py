"""test_readme.py - README.md is followed to the letter in a root of its own: what it says to write is written, what it says
to run is run; its other configurations load, and every command and field that it and the manual name exists"""
import re, subprocess

import pytest

from host import BUILD, ROOT, wait_for
from private_root import BARE, Root, make_deb

README = (ROOT / 'README.md').read_text()
BLOCK = re.compile(r'(?:<!-- (write \S+|run) -->\n)?```(\w*)\n(.*?)```', re.S)
TWO = 'hostname = mx.example.com\ndomains = [ example.com ]\n'

# What the unit does, where there is no systemd: README says systemctl.
SYSTEMCTL = r'''#!/bin/bash
unit=/usr/lib/systemd/system/mansio.service
of() { sed -n "s/^$1=//p" $unit; }
stop() { pid=$(cat /run/mansio/mtad.lock 2>/dev/null) && kill $pid 2>/dev/null && while kill -0 $pid 2>/dev/null; do sleep 0.05; done; true; }
start() {
    $(of ExecStartPre) >/dev/null || exit 1
    mkfifo /tmp/ready 2>/dev/null
    setsid $(of ExecStart) --ready-fd 9 9<>/tmp/ready </dev/null >>/var/log/mansio.out 2>&1 &
    read -t 60 line </tmp/ready; [[ $line = ready* ]]
}
[ "$2" = mansio ] || exit 5
case $1 in start) start ;; stop) stop ;; restart) stop; start ;; *) exit 1 ;; esac
'''
SUBMIT = r'''import smtplib, ssl, sys
password = open(sys.argv[1]).read().strip()
away = ssl._create_unverified_context()
s = smtplib.SMTP('127.0.0.1', 587, timeout=30)
s.starttls(context=away)
s.login('maria@example.com', password)
s.sendmail('maria@example.com', ['maria@example.com'], 'Subject: 587\r\n\r\nby submission\r\n')
s = smtplib.SMTP_SSL('127.0.0.1', 465, timeout=30, context=away)
s.login('maria@example.com', password)
s.sendmail('maria@example.com', ['maria@example.com'], 'Subject: 465\r\n\r\nby submissions\r\n')
s = smtplib.SMTP('192.0.2.1', 25, timeout=30, source_address=('192.0.2.9', 0))
s.sendmail('a@example.net', ['maria@example.org'], 'Subject: 25\r\n\r\nfrom the world\r\n')
s.ehlo()
assert s.has_extn('starttls')
s.mail('a@example.net')
assert s.rcpt('b@example.net')[0] == 550
'''


def blocks():
    return [(m[1], m[2], m[3]) for m in BLOCK.finditer(README)]


@pytest.fixture(scope='module')
def deb(tmp_path_factory):
    return make_deb(BUILD, tmp_path_factory.mktemp('deb'))


@pytest.mark.root
def test_to_the_letter(tmp_path, deb):
    with Root(tmp_path / 'ns', name='mx') as r:
        r.sh(BARE + 'userdel -r maria 2>/dev/null; rm -f /etc/aliases; true')
        r.put_text('/usr/bin/systemctl', SYSTEMCTL)
        r.sh('chmod 755 /usr/bin/systemctl')
        r.put(deb, '/root/mansio.deb')
        r.sh('dpkg -i --force-conflicts /root/mansio.deb; systemctl start mansio || { cat /var/log/mansio.out; exit 1; }')
        for address in ('192.0.2.1/32', '192.0.2.9/32'):
            r.net('ip', 'addr', 'add', address, 'dev', 'lo')
        first, said = True, ''
        for what, _, text in blocks():
            if not what:
                continue
            if what == 'run' and 'systemctl stop' in text and first:
                first = False
                said += check_mail(r)
            if what == 'run':
                said += r.sh('set -e\n' + text)
            else:
                r.put_text(what.split()[1], text)
        assert not first, 'README lost its backup'
        # After the restore the host is what it was.
        r.sh('systemctl start mansio; mtactl status')
        r.sh('echo "and again" | sendmail root')
        wait_for('mail after the restore', lambda: 'and again' in r.sh('cat /home/maria/Maildir/new/*; true'))
        assert 'maria' in said and 'is empty' in said, said


def check_mail(r):
    """Between the first configuration and the backup: everything that the configuration promises."""
    def arrived(text):
        return text in r.sh('cat /home/maria/Maildir/new/* 2>/dev/null; true')

    explain = lambda: r.sh('cat /var/log/mansio.out; mailq; true')
    wait_for("root's mail", lambda: arrived('it works'), explain=explain)
    secret = r.sh('cat /root/password-of-maria')
    done = subprocess.run(['nsenter', '-t', str(r.init), '-n', '/usr/bin/python3', '-c', SUBMIT, '/dev/stdin'], input=secret,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + explain()
    for text in ('by submission', 'by submissions', 'from the world'):
        wait_for(text, lambda text=text: arrived(text), explain=explain)
    return r.sh('mailq')


def test_other_configurations(tmp_path):
    """What is shown without a hostname is a part: two lines before it make it whole."""
    n = 0
    for what, lang, text in blocks():
        if lang != 'conf' or what:
            continue
        for path in re.findall(r'(?:file|source) = (/\S+)', text):
            text = text.replace(path, str(tmp_path / path.strip('/').replace('/', '-')))
            file = tmp_path / path.strip('/').replace('/', '-')
            file.write_text('password\n' if 'secret' in path else '')
            file.chmod(0o600)
        for path in re.findall(r'root = (/\S+)', text):
            text = text.replace(path, str(tmp_path))
        load(tmp_path, TWO + text)
        n += 1
    assert n >= 4


def load(tmp_path, text):
    conf = tmp_path / 'mansio.conf'
    conf.write_text(text)
    done = subprocess.run([BUILD / 'bin/mtad', '-n', '-c', conf], capture_output=True, text=True)
    assert done.returncode == 0, f'{text}\n{done.stdout}{done.stderr}'


def test_tables_name_what_exists():
    """The right columns of "coming from": fields and sections that the configuration knows."""
    section = README[README.index('## Coming from'):README.index('## Where things are')]
    seen = 0
    known = (ROOT / 'docs/CONFIG.md').read_text()
    for line in section.splitlines():
        cells = line.split(' | ')
        if len(cells) < 2 or not line.startswith('|'):
            continue
        for code in re.findall(r'`([a-z]+(?: [A-Za-z.]+)? (?:=|\{)[^`]*)`', cells[-1]):
            for name in re.findall(r'([a-z_]+) =', code):
                assert f'| `{name}` |' in known, f'{code}: docs/CONFIG.md has no {name}'
                seen += 1
    assert seen > 30


def commands(text):
    """Words of mtactl's commands, as far as they are words and not values."""
    for m in re.finditer(r'mtactl ((?:-c \S+ |--?[a-z]+ )*)([a-z][a-z -]*[a-z])', text):
        yield m[2]


def test_commands_exist():
    usage = subprocess.run([BUILD / 'bin/mtactl', '--help'], capture_output=True, text=True).stdout
    known = re.findall(r'^  ([a-z]+(?: [a-z-]+)*)', usage, re.M)
    first = {k.split()[0] for k in known}
    assert {'status', 'queue', 'check', 'passwd'} <= first, usage
    texts = {'README.md': '\n'.join(re.findall(r'`([^`\n]*)`', README) + [t for w, _, t in blocks() if w])}
    for page in (ROOT / 'docs/man').glob('*.[158]'):
        texts[page.name] = page.read_text()
    for name, text in texts.items():
        for command in commands(text):
            words = command.split()
            assert words[0] in first, f'{name}: mtactl {command}'
            pairs = {k.split()[1] for k in known if k.split()[0] == words[0] and len(k.split()) > 1 and not k.split()[1].startswith('-')}
            if words[0] in ('queue', 'map') and len(words) > 1:
                assert words[1] in pairs, f'{name}: mtactl {command}'

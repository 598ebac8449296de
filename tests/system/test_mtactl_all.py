"""test_mtactl_all.py - every command of mtactl in words and as JSON, on a host that runs, hangs or is down; completion

ROWS must hold every command that the program knows (`mtactl --command-words`) and the manual page lists: one that is
new and has no row here fails.
"""
import json, os, re, signal, subprocess

import pytest

import host
from host import Host, halt

TOOL = host.BUILD / 'bin/mtactl'
ROUTE = 'route default { via = "127.0.0.1:1" }'

# command: [(arguments, exit status, a kind of row that the answer has)]; @ID@ is a message that waits. The second word
# says what the command needs: the running host (its silence is an error), or nothing.
HOST, FILES = 'host', 'files'
ROWS = {
    'status': (HOST, [('', 0, 'daemon')]),
    'check': (FILES, [('', 0, None), ('@DIR@/etc/bad.conf', 78, None)]),
    'config --files': (FILES, [('', None, 'file')]),
    'config history': (HOST, [('', 0, 'configuration')]),
    'config diff': (HOST, [('', 0, None), ('running 1', 0, None), ('77', 65, None), ('x', 64, None)]),
    'check --install': (FILES, [('', None, None)]),  # what it finds is this machine's business
    'config': (FILES, [('', 0, 'value')]),
    'log': (HOST, [('', 0, 'log'), ('--peer 192.0.2.1 --for 5m', 0, None), ('--domain far.test', 0, None), ('--peer a_b!c', 64, None),
                   ('--for 5m', 64, None), ('--peer 192.0.2.1 --for 9w', 64, None), ('debug', 0, None), ('info', 0, None), ('loud', 64, None)]),
    'sandbox': (HOST, [('', 0, 'thread')]),
    'metrics': (HOST, [('', 0, 'metric')]),
    'top': (HOST, [('--once', 0, 'rate'), ('--every x', 64, None), ('--twice', 64, None)]),
    'mailq': (FILES, [('', 0, 'message')]),
    'queue list': (HOST, [('', 0, 'message'), ('--state held', 0, None), ('--older x', 64, None),
                           ('--sort size --limit 2', 0, 'message'), ('--sort colour', 64, None), ('--yes', 64, None)]),
    'queue summary': (HOST, [('', 0, 'destination'), ('--by sender --limit 1', 0, 'sender'), ('--by age --state deferred', 0, 'age'), ('--by reason', 0, 'reason'),
                              ('--by colour', 64, None), ('--limit 0', 64, None)]),
    'queue show': (HOST, [('@ID@', 0, 'envelope'), ('0000000000000', 65, None)]),
    'queue cat': (HOST, [('@ID@', 0, 'content'), ('0000000000000', 65, None)]),
    'queue hold': (HOST, [('@ID@ --why looking', 0, None), ('@ID@ 0000000000000', 0, 'absent'), ('0000000000000', 65, 'absent'), ('--why x', 64, None)]),
    'queue release': (HOST, [('--state held', 0, None), ('0000000000000', 65, 'absent')]),
    'queue flush': (HOST, [('0000000000000', 65, 'absent'), ('--domain remote.test', 0, None)]),
    'queue requeue': (HOST, [('--sender nobody@far.test --yes', 0, None), ('--all', 64, None), ('', 64, None), ('0000000000000', 65, 'absent')]),
    'queue edit': (HOST, [('0000000000000 --sender a@far.test', 65, None), ('@ID@', 64, None), ('@ID@ --colour blue', 64, None), ('@ID@ --replace a@far.test', 64, None),
                          ('@ID@ --remove nobody@far.test --yes', 65, None)]),
    'queue verify': (FILES, [('', 0, 'sum'), ('/nowhere', 69, None)]),
    'notice show': (FILES, [('failure', 0, 'notice'), ('double', 0, 'notice'), ('bounce', 64, None), ('delay /nowhere', 78, 'finding')]),
    'pause': (HOST, [('out', 0, None), ('in', 0, None), ('sideways', 64, None)]),
    'resume': (HOST, [('out', 0, None), ('in', 0, None)]),
    'freeze': (HOST, [('bad@far.test', 0, None)]),
    'thaw': (HOST, [('bad@far.test', 0, None)]),
    'queue delete': (HOST, [('--sender nobody@far.test --yes', 0, None), ('--sender nobody@far.test', 64, None), ('', 64, None), ('0000000000000', 65, 'absent'),
                             ('0000000000000 0000000000001', 65, 'absent')]),
    'queue bounce': (HOST, [('--sender nobody@far.test --yes', 0, None), ('0000000000000', 65, 'absent'), ('--all', 64, None)]),
    'trace': (HOST, [('@ID@', 0, 'step'), ('@ID@ --to a@remote.test', 0, 'step'), ('@ID@ --to', 64, None), ('0000000000000', 1, 'history'), ('--since 9w', 64, None), ('user@demo.test --limit 0', 64, None)]),
    'address': (HOST, [('user@demo.test', 0, 'step'), ('nobody@demo.test', 67, None), ('a@b@c', 65, None)]),
    'policy': (HOST, [('--client 192.0.2.1 --from a@far.test --to user@demo.test', 0, 'reply'),
                      ('--client 192.0.2.1 --from a@far.test --to a@far.test', 1, 'reply'), ('--client 192.0.2.1 --from <> --to user@demo.test --tls', 1, 'reply'), ('--client x', 64, None)]),
    'passwd': (FILES, [('--list', 0, 'login'), ('--delete nobody', 65, None), ('a b', 64, None)]),
    'test': (FILES, [('', None, 'check'), ('--to', 64, None)]),
    'map list': (HOST, [('', 0, 'map')]),
    'map get': (HOST, [('users user@demo.test', 0, 'entry'), ('users x@demo.test', 1, None), ('nomap x', 65, None)]),
    'map dump': (HOST, [('users', 0, 'entry'), ('passwd', 65, None), ('nomap', 65, None)]),
    'map check': (FILES, [('users', 0, None), ('@DIR@/etc/users', 0, None), ('nomap', 65, None)]),
    'map build': (FILES, [('users', 0, 'table'), ('passwd', 65, None), ('nomap', 65, None)]),
    'map reload': (HOST, [('', 0, 'map'), ('users', 0, 'map'), ('nomap', 65, None)]),
    'reload --previous': (HOST, [('', 65, None)]),
    'reload': (HOST, [('', 0, None)]),
    'stop': (HOST, [('', 0, None)]),  # last
}


def run(h, words, *, json_too=False, wait=None):
    options = [*(['--wait', wait] if wait else []), *(['--json'] if json_too else [])]
    return subprocess.run([str(TOOL), '-c', str(h.dir / 'etc/mansio.conf'), *options, *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=200)


def words_of():
    """{command: its options and choices}, from the program's own table."""
    text = subprocess.run([str(TOOL), '--command-words'], capture_output=True, text=True, check=True).stdout
    return {line.split('\t')[0]: line.split('\t')[1].split() for line in text.splitlines()}


def parsed(p):
    """One JSON object on standard output and nothing else anywhere."""
    assert p.stderr == '', p
    answer = json.loads(p.stdout)
    assert set(answer) == {'rows', 'code', 'message'} and answer['code'] == p.returncode, p
    assert all(isinstance(r['kind'], str) for r in answer['rows'])
    return answer


def with_logins(**kw):
    h = Host(relay_from=['127.0.0.0/8'], conf=ROUTE + '\nmap logins { type = text source = "@DIR@/etc/logins" }\nauth { users = logins }', **kw)
    h.write()
    (h.dir / 'etc/logins').write_text('dad@mail.demo.test $y$nothing\n')
    (h.dir / 'etc/logins').chmod(0o600)
    (h.dir / 'etc/bad.conf').write_text('hostnam = x\n')
    return h


def test_every_command_has_a_row_and_a_place_in_the_manual():
    assert set(words_of()) == set(ROWS)
    manual = (host.BUILD / 'docs/man/mtactl.8').read_text()
    listed = manual[manual.index('.Sh COMMANDS'):]
    listed = listed[:listed.index('.Sh ', 5)]
    items = [line[7:] for line in listed.splitlines() if line.startswith('.It Cm ')]
    for command in ROWS:
        assert [i for i in items if i == command or i.startswith(command + ' ')], command
    assert len(items) == len(ROWS)
    usage = subprocess.run([str(TOOL), '--help'], capture_output=True, text=True).stdout
    documented = set(re.findall(r'^\.It (\d+)$', manual, re.M))
    told = set(re.findall(r'\b(\d\d?) [a-z]', usage[usage.index('exit status:'):]))
    assert documented == told
    used = {str(code) for _, cases in ROWS.values() for _, code, _ in cases if code is not None} | {'69', '75', '77'}
    assert used <= documented


def test_help_of_each_command():
    """It says how the command is called, and does nothing else: the host need not run, nothing is deleted."""
    for command in ROWS:
        for words in ([*command.split(), '--help'], [*command.split(), '-h'], [*command.split(), 'x', '--help', '--yes']):
            p = subprocess.run([str(TOOL), '-c', '/nowhere', *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            assert p.returncode == 0 and not p.stderr and p.stdout.startswith('usage: mtactl ' + command), (words, p)
            assert ('SELECTOR: ID' in p.stdout) == ('SELECTOR' in p.stdout.split('SELECTOR: ')[0]), p
    p = subprocess.run([str(TOOL), 'queue', '--help'], capture_output=True, text=True)
    assert p.returncode == 0 and all(f' mtactl {c}' in p.stdout for c in ROWS if c.startswith('queue ')) and 'mtactl map' not in p.stdout
    p = subprocess.run([str(TOOL), 'hold', '0S9TMGJ4R4PWR'], capture_output=True, text=True)
    assert p.returncode == 64 and 'did you mean "queue hold"?' in p.stderr
    p = subprocess.run([str(TOOL), 'cue', '--help'], capture_output=True, text=True)
    assert p.returncode == 64 and 'there is no command cue' in p.stderr


def test_a_configuration_that_is_not_there_is_not_the_systems():
    """Who mistypes its name must not change another host's queue."""
    for words in ('queue delete --all --yes', 'status', 'mailq', 'stop', 'reload'):
        p = subprocess.run([str(TOOL), '-c', '/nowhere', *words.split()], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert p.returncode == 78 and '/nowhere does not say which host is meant' in p.stderr and not p.stdout, (words, p)


def test_every_command_in_words_and_as_json():
    with with_logins() as h:
        message = h.send('a@remote.test', sender='me@demo.test')
        h.wait_log('delivery.result', id=message)
        for command, (_, cases) in ROWS.items():
            for arguments, code, kind in cases:
                words = command.split() + arguments.replace('@ID@', message).replace('@DIR@', str(h.dir)).split()
                if command == 'stop':
                    continue
                p = run(h, words)
                assert code is None or p.returncode == code, (words, p)
                assert p.returncode == 0 or p.stderr or p.stdout, words
                assert 'usage: mtactl ' + command in p.stderr or p.returncode != 64 or p.stderr, p
                for answer in (run(h, words, json_too=True), run(h, [*words, '--json'])):
                    assert code is None or answer.returncode == code, (words, answer)
                    answer = parsed(answer)
                    assert not kind or kind in {r['kind'] for r in answer['rows']}, (words, answer)
                    assert answer['code'] == 0 or answer['message'] or answer['rows'], (words, answer)
        p = run(h, ['stop'])
        assert p.returncode == 0 and 'stopping' in p.stdout
        assert h.proc.wait(60) == 0
        h.proc = None
        h.start()
        assert parsed(run(h, ['stop'], json_too=True))['message'] == 'stopping'
        assert h.proc.wait(60) == 0


@pytest.mark.parametrize('command', sorted(ROWS))
def test_too_many_words_are_wrong_usage(command, tmp_path):
    for json_too in (False, True):
        p = run(Host(base=str(tmp_path)), [*command.split(), *['a'] * 1100], json_too=json_too)
        assert p.returncode in (64, 65, 75, 69), p
        assert (parsed(p)['message'] if json_too else p.stderr)


def all_at_once(h, which, wait):
    """Every command that needs the host, started together: {command: (exit status, standard error)}."""
    started = {}
    for command, (needs, cases) in ROWS.items():
        if needs != which:
            continue
        words = command.split() + cases[0][0].replace('@ID@', '0S9TMGJ4R4PWR').split()
        for option in ([], ['--json']):
            p = subprocess.Popen([str(TOOL), '--wait', wait, '-c', str(h.dir / 'etc/mansio.conf'), *option, *words],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            started[command, bool(option)] = p
    return {key: (p.communicate(timeout=300), p.returncode) for key, p in started.items()}


def test_a_host_that_is_down_is_said_to_be():
    with with_logins() as h:
        h.stop()
        for (command, as_json), ((out, err), code) in all_at_once(h, HOST, '5').items():
            assert code == 69, (command, out, err)
            assert 'not running' in (json.loads(out)['message'] if as_json else err), (command, out, err)


def test_a_host_that_hangs_keeps_nobody():
    """mtad is stopped: whoever calls gets no answer, and says so."""
    with with_logins() as h:
        halt(h.proc.pid)
        try:
            patient = {'reload', 'reload --previous', 'map reload'}  # wait for minutes on purpose
            saved = {c: ROWS.pop(c) for c in patient}
            try:
                answers = all_at_once(h, HOST, '1')
            finally:
                ROWS.update(saved)
            for (command, as_json), ((out, err), code) in answers.items():
                assert code == 75, (command, out, err)
                assert 'answer' in (json.loads(out)['message'] if as_json else err), (command, out, err)
        finally:
            os.kill(h.proc.pid, signal.SIGCONT)


def test_status_and_mailq_while_queued_hangs():
    with with_logins() as h:
        message = h.send('a@remote.test', sender='me@demo.test')
        h.wait_log('delivery.result', id=message)
        pid = h.pids()['queued'][0]
        halt(pid)
        try:
            for json_too in (False, True):
                p = run(h, ['status'], json_too=json_too)
                assert p.returncode == 1 and 'queued' in p.stdout, p
                p = run(h, ['mailq'], json_too=json_too)
                if host.IS_ROOT:
                    assert message in p.stdout, p
        finally:
            os.kill(pid, signal.SIGCONT)


# ---- completion ----

def complete(line):
    """What bash would offer behind this line."""
    words = line.split(' ')
    script = (f'source "{host.ROOT}/etc/mtactl.bash-completion"; COMP_WORDS=({" ".join(w or chr(34) * 2 for w in words)}); '
              f'COMP_CWORD={len(words) - 1}; _mtactl; printf "%s\\n" "${{COMPREPLY[@]}}"')
    p = subprocess.run(['bash', '-c', script], capture_output=True, text=True, cwd='/',
                       env={**os.environ, 'PATH': f'{TOOL.parent}:{os.environ["PATH"]}'})
    assert p.returncode == 0 and not p.stderr, p
    return set(p.stdout.split())


def test_completion_knows_the_table():
    table = words_of()
    assert {c.split()[0] for c in table} <= complete('mtactl ')
    assert complete('mtactl qu') == {'queue'}
    assert complete('mtactl queue ') == {c.split()[1] for c in table if c.startswith('queue ')}
    assert complete('mtactl --json --wait 3 queue sh') == {'show'}
    assert complete('mtactl sta') == {'status'}
    assert complete('mtactl notice show d') == {'delay', 'double'}
    assert complete('mtactl queue list --state h') == {'held'}
    assert complete('mtactl queue list --sort s') == {'size', 'sender'}
    assert complete('mtactl queue summary --by ') == {'destination', 'sender', 'reason', 'age'}
    assert '/etc/' in {f + '/' for f in complete('mtactl -c /et')}
    assert '--install' in complete('mtactl check --')
    for command, words in table.items():
        if len(command.split()) == 1 and command not in ('check',):
            assert set(words) <= complete(f'mtactl {command} '), command
        if words:
            assert set(words) <= complete(f'mtactl {command} ' ) | {'--install'}, command

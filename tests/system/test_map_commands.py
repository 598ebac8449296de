"""test_map_commands.py - mtactl map get, dump, check and build"""
import json, subprocess

import pytest

import host
from host import Host


def ctl(h, *args, code=0, cwd=None):
    """In words and as JSON: (text, answer)."""
    base = [str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf')]
    p = subprocess.run([*base, *args], capture_output=True, text=True, timeout=180, cwd=cwd)
    assert p.returncode == code, (args, p)
    j = subprocess.run([*base, '--json', *args], capture_output=True, text=True, timeout=180, cwd=cwd)
    assert j.returncode == code, (args, j)
    answer = json.loads(j.stdout)
    assert answer['code'] == code and j.stderr == '', j
    return p.stdout + p.stderr, answer


CONF = ('map inner { type = inline entries = [ "one 1", "two 2" ] }\nmap plain { type = text source = "@DIR@/etc/plain" }\n'
        'map aliases { type = aliases source = "@DIR@/etc/aliases" }\nmap large { type = lmdb source = "@DIR@/etc/large" }\n'
        'map logins { type = text source = "@DIR@/etc/logins" }\nauth { users = logins }\n')
ALIASES = 'root: bob, eve@far.test\n"odd name": bob\nlist: :include:@DIR@/etc/list\n'
N = 12345


@pytest.fixture(scope='module')
def live():
    h = Host(CONF)
    h.write()
    etc = h.dir / 'etc'
    (etc / 'plain').write_text('# c\nKey one\nother  two words \n')
    (etc / 'aliases').write_text(ALIASES.replace('@DIR@', str(h.dir)))
    (etc / 'list').write_text('bob\n')
    (etc / 'large').write_text(''.join(f'user{i}@demo.test dir{i}/\n' for i in range(N)))
    (etc / 'logins').write_text('dad $y$secret\n')
    (etc / 'logins').chmod(0o600)
    with h:
        yield h


def entries(answer):
    return {r['key']: (r['value'], r['origin']) for r in answer['rows']}


def test_dump(live):
    etc = live.dir / 'etc'
    text, answer = ctl(live, 'map', 'dump', 'plain')
    assert entries(answer) == {'key': ('one', f'{etc}/plain:2'), 'other': ('two words', f'{etc}/plain:3')}
    assert 'key\tone\n' in text and 'other\ttwo words\n' in text
    assert {k: v for k, (v, _) in entries(ctl(live, 'map', 'dump', 'inner')[1]).items()} == {'one': '1', 'two': '2'}
    found = entries(ctl(live, 'map', 'dump', 'aliases')[1])
    assert found['root'] == ('bob, eve@far.test', f'{etc}/aliases:1') and found['odd name'][0] == 'bob' and len(found) == 3
    # More than a portion, each once.
    answer = ctl(live, 'map', 'dump', 'large')[1]
    assert len(answer['rows']) == N and entries(answer) == {f'user{i}@demo.test': (f'dir{i}/', f'{etc}/large:{i + 1}') for i in range(N)}
    assert entries(ctl(live, 'map', 'dump', 'logins')[1]) == {'dad': ('***', f'{etc}/logins:1')}
    assert 'map get' in ctl(live, 'map', 'dump', 'passwd', code=65)[0]


def test_get_with_several_keys(live):
    row = lambda *keys: ctl(live, 'map', 'get', *keys)[1]['rows'][0]
    assert (row('plain', 'nothing', 'key', 'other')['key'], row('plain', 'nothing', 'key', 'other')['value']) == ('key', 'one')
    assert row('large', 'a@b', '@demo.test', 'user7@demo.test')['value'] == 'dir7/'
    assert row('passwd', 'no-such-user-here', 'root')['key'] == 'root'
    assert row('logins', 'dad')['value'] == '***'
    ctl(live, 'map', 'get', 'plain', 'a', 'b', 'c', code=1)


def test_check(live):
    etc = live.dir / 'etc'
    assert f'{N} entries, all in order' in ctl(live, 'map', 'check', 'large')[0]
    assert 'all in order' in ctl(live, 'map', 'check', f'{etc}/aliases')[0]
    stray = etc / 'stray'
    stray.write_text('a: b\nb: c\nc: \\c, a\nb: d\n')
    text, answer = ctl(live, 'map', 'check', './stray', code=1, cwd=etc)
    problems = {(r['level'], r['where'], r['problem']) for r in answer['rows']}
    assert ('fault', './stray:4', 'b: stands already in line 2; this entry is never used') in problems, problems
    assert any(w == './stray:3' and 'closes a loop that begins in line 1' in p for _, w, p in problems), problems
    assert './stray:4: fault: b: stands already' in text
    stray.write_text('a b\nc d\n"open e\nf g\n"also h\na i\n')
    answer = ctl(live, 'map', 'check', str(stray), code=65)[1]
    assert [(r['level'], r['where'].rsplit(':', 1)[1]) for r in answer['rows']] == [('error', '3'), ('error', '5'), ('fault', '6')], answer
    ctl(live, 'map', 'check', 'inner', code=65)
    assert './nothing' in ctl(live, 'map', 'check', 'nothing', code=65)[0]
    ctl(live, 'map', 'check', '/no/such/file', code=65)


def test_build_touches_nothing(live):
    etc = live.dir / 'etc'
    compiled = live.dir / 'state/mapd/large.mdb'
    before = compiled.stat()
    answer = ctl(live, 'map', 'build', 'large')[1]
    assert answer['rows'][0]['entries'] == N and answer['rows'][0]['bytes'] > N * 20
    assert ctl(live, 'map', 'build', 'aliases')[1]['rows'][0]['entries'] == 3
    good = (etc / 'plain').read_text()
    (etc / 'plain').write_text(good + '"open x\n')
    assert f'{etc}/plain:4' in ctl(live, 'map', 'build', 'plain', code=65)[0]
    (etc / 'plain').write_text(good)
    ctl(live, 'map', 'build', 'passwd', code=65)
    after = compiled.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_they_work_without_a_host_that_runs(tmp_path):
    h = Host(CONF, base=tmp_path)
    h.write()
    (tmp_path / 'etc/aliases').write_text('root: bob\n')
    assert 'all in order' in ctl(h, 'map', 'check', 'aliases')[0]
    assert ctl(h, 'map', 'build', 'users')[1]['rows'][0]['entries'] == 2
    ctl(h, 'map', 'dump', 'users', code=69)

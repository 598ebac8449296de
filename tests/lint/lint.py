#!/usr/bin/python3
"""lint.py CHECK [ROOT] - rules of the house that a compiler does not know. Each check is one ctest.

  sizes      files <= 600 lines, functions <= 70 lines, lines <= 110 columns; waivers in tests/lint/waivers
  includes   each folder includes only what the table of docs/ARCHITECTURE.md allows
  headers    every header compiles alone and begins with `#pragma once`; those of a folder compile together with the
             libraries that it may include, so that no name means two things
  words      functions and marks that have no place here; first lines; text of a build machine
  log        every log event and key stands in docs/LOGGING.md, and everything there is used
"""
import os, pathlib, re, subprocess, sys

ROOT = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else '.').resolve()
CODE = ['common', 'conf', 'inspect', 'maps', 'smtpd', 'cleanup', 'queued', 'deliverd', 'dnsd', 'historyd', 'mtad', 'mtactl', 'postdrop', 'bench', 'tests']

# Folder -> prefixes of project headers it may include besides its own folder (docs/ARCHITECTURE.md, "Folders").
COMMON = ['common/']
DAEMON = COMMON + ['conf/', 'maps/client.h', 'maps/keys.h', 'maps/list.h', 'dnsd/client.h']
INCLUDES = {
    'common/base': [],
    'common/os': ['common/base/'],
    'common/mail': ['common/base/'],
    'common/net': ['common/base/', 'common/os/'],
    'common/ipc': ['common/base/', 'common/os/', 'common/net/loop.h'],
    'common/proc': COMMON + ['conf/'],
    'inspect': COMMON + ['conf/'],
    'conf': ['common/base/', 'common/os/', 'common/mail/'],
    'maps': ['common/base/', 'common/os/', 'common/mail/', 'common/net/', 'common/ipc/', 'common/proc/', 'conf/'],
    'dnsd': COMMON + ['conf/'],
    'historyd': COMMON + ['conf/'],
    'smtpd': DAEMON, 'cleanup': DAEMON, 'queued': DAEMON, 'deliverd': DAEMON, 'mtad': DAEMON + ['inspect/'],
    'mtactl': ['inspect/', 'maps/check.h', 'maps/load.h', 'maps/map.h', 'common/base/', 'common/os/', 'common/mail/', 'conf/', 'common/ipc/', 'maps/credential.h', 'queued/look.h', 'queued/room.h', 'queued/verify.h'],
    'postdrop': ['common/base/', 'common/os/', 'common/mail/', 'conf/', 'common/ipc/'],
}
# Library header -> the only folders that may know it.
SYSTEM = {
    r'event2?/': ['common/net'],
    r'openssl/(ssl|bio)\.h': ['common/net'],
    r'ares': ['dnsd'],
    r'lmdb\.h': ['maps', 'historyd', 'common/os'],
    r'pcre2\.h': ['maps', 'conf'],
    r'seccomp\.h|linux/landlock\.h|linux/seccomp\.h': ['common/os'],
}
WORDS = {
    r'\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|strtok|strncpy|strncat|gets|alloca|setjmp|longjmp|system|popen|sscanf|fscanf|scanf)\s*\(':
        'a function that the house does not use',
    r'\b(TODO|FIXME|XXX)\b': 'a mark of unfinished work',
    r'(?<![\w/.-])/w[o]rk/': 'a path of a build machine',
}


def names():
    """What git knows of; in a tree without git everything but what is built."""
    try:
        out = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True)
        if out.returncode == 0:
            return out.stdout.split('\n')
    except FileNotFoundError:
        pass
    return [str(p.relative_to(ROOT)) for p in ROOT.rglob('*') if '__pycache__' not in p.parts]


def files(*suffixes):
    return sorted(n for n in names() if n.endswith(suffixes) and n.split('/')[0] in CODE and (ROOT / n).is_file())


def text(name):
    return (ROOT / name).read_text(errors='replace')


def strip(code, strings=True):
    """Code without comments (and string contents), same line structure."""
    def blank(m):
        s = m.group(0)
        if s[0] == '/':
            return re.sub(r'[^\n]', ' ', s)
        return s[0] + re.sub(r'[^\n]', ' ', s[1:-1]) + s[-1] if strings else s
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, code, flags=re.S)


def waivers():
    found = {}
    path = ROOT / 'tests/lint/waivers'
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.strip() and not line.startswith('#'):
            check, name, reason = line.split(None, 2)
            found[check, name] = reason
    return found


def functions(code):
    """(name, first line, lines) of each function body that begins at column 0."""
    lines = strip(code).split('\n')
    start = None
    for i, line in enumerate(lines):
        if line == '{':
            start = i
        elif line == '}' and start is not None:
            head = ' '.join(lines[max(0, start - 6):start])
            names = re.findall(r'(\w+)\s*\(', head)
            yield (names[-1] if names else '?'), start + 1, i - start - 1
            start = None


def check_sizes():
    ok = waivers()
    for name in files('.c', '.h', '.py'):
        body = text(name)
        n = body.count('\n')
        if n > 600 and ('size', name) not in ok:
            yield f'{name}: {n} lines (limit 600): split by concept'
        if name.endswith('.c'):
            for fn, line, length in functions(body):
                if length > 70 and ('function', f'{name}:{fn}') not in ok:
                    yield f'{name}:{line}: {fn} has {length} lines (limit 70)'
        if not name.endswith('.py'):
            for i, line in enumerate(body.split('\n'), 1):
                if len(line) > 110 and 'http' not in line:
                    yield f'{name}:{i}: {len(line)} columns (limit 110)'


def folder(name):
    parts = name.split('/')
    return '/'.join(parts[:2]) if parts[0] == 'common' else parts[0]


def check_includes():
    for name in files('.c', '.h'):
        own = folder(name)
        if own not in INCLUDES:
            continue
        for i, line in enumerate(text(name).split('\n'), 1):
            m = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if m:
                inc = m.group(1)
                if not (ROOT / inc).exists():
                    yield f'{name}:{i}: "{inc}" is not a path from the root'
                elif not (inc.startswith(own + '/') or any(inc.startswith(a) for a in INCLUDES[own])):
                    yield f'{name}:{i}: {own} may not include {inc}'
            m = re.match(r'\s*#\s*include\s*<([^>]+)>', line)
            for pattern, who in SYSTEM.items() if m else ():
                if re.match(pattern, m.group(1)) and own not in who:
                    yield f'{name}:{i}: only {", ".join(who)} may include <{m.group(1)}>'


def complaints(headers):
    """What the compiler says about a file that includes these headers and nothing else."""
    code = ''.join(f'#include "{h}"\n' for h in headers) + 'int x;\n'
    r = subprocess.run(['gcc', '-std=c11', '-D_GNU_SOURCE', '-DMANSIO_VERSION="0"', '-Wall', '-Wextra', '-Wconversion', '-fsyntax-only',
                        '-I', str(ROOT), '-x', 'c', '-'], input=code, cwd=ROOT, capture_output=True, text=True)
    return r.stderr if r.returncode or 'warning' in r.stderr else ''


def check_headers():
    names = [n for n in files('.h') if not n.startswith('tests/')]
    for name in names:
        if '#pragma once' not in text(name):
            yield f'{name}: no #pragma once'
        said = complaints([name])
        if said:
            yield f'{name}: does not compile alone\n{said}'
    for own, allowed in INCLUDES.items():
        libraries = [a for a in allowed if a.endswith('/')]
        together = [n for n in names if os.path.dirname(n) == own or n.startswith(tuple(libraries))]
        said = complaints(together)
        if said:
            yield f'{own}: a name means two things in the headers that it may include\n{said}'


def check_words():
    for name in files('.c', '.h', '.py', '.sh', '.txt', '.cmake', '.dlg'):
        if name.startswith('tests/lint/'):
            continue
        body = text(name)
        code = strip(body, strings=True) if name.endswith(('.c', '.h')) else body
        if name.endswith(('.c', '.h')) and not body.startswith('/* ' + os.path.basename(name)):
            yield f'{name}:1: the first line does not say `/* {os.path.basename(name)} - purpose`'
        for pattern, why in WORDS.items():
            where = code if '\\s*\\(' in pattern else body
            if '\\s*\\(' in pattern and not name.endswith(('.c', '.h')):
                continue
            for m in re.finditer(pattern, where):
                yield f'{name}:{where.count(chr(10), 0, m.start()) + 1}: {m.group(0).strip()}: {why}'


def log_uses():
    """event -> [file], and the set of all keys. An event is the literal of a LOG call, or any other that reads like one
    (area.noun.verb, where the area is one of those): tables of events and choices between two are seen that way."""
    events, keys, others = {}, set(), []
    for name in files('.c'):
        if name.startswith(('tests/', 'bench/')):
            continue
        code = strip(text(name), strings=False)
        for m in re.finditer(r'\bLOG0?\s*\(\s*\w+\s*,\s*"([^"]+)"|\blog_emit\s*\(\s*[^,"]+,\s*"([^"]+)"', code):
            events.setdefault(m.group(1) or m.group(2), []).append(name)
        code = re.sub(r'\bFAULT\w*\s*\(\s*"[^"]*"', '', code)
        others += [(m.group(1), name) for m in re.finditer(r'"([a-z]+(?:\.[a-z-]+){2})"', code)]
        for m in re.finditer(r'\bK(?:S|V|I|MS)\s*\(\s*"([^"]+)"', code):
            keys.add(m.group(1))
    areas = {e.split('.')[0] for e in events}
    for event, name in others:
        if event.split('.')[0] in areas:
            events.setdefault(event, []).append(name)
    return events, keys


def check_log():
    body = text('docs/LOGGING.md')
    listed = set(re.findall(r'^\|\s*`([a-z0-9_.-]+)`\s*\|\s*(?:ERROR|WARN|INFO|DEBUG)', body, re.M))
    doc_keys = set(re.findall(r'`([a-z0-9_-]+)`', body))
    events, keys = log_uses()
    for e in sorted(set(events) - listed):
        yield f'{events[e][0]}: event {e} is not in docs/LOGGING.md'
    for e in sorted(listed - set(events)):
        if not any(f'"{e}"' in text(n) or f'event={e} ' in text(n) for n in files('.c')):
            yield f'docs/LOGGING.md: event {e} is logged nowhere'
    for k in sorted(keys - doc_keys):
        yield f'key {k} is not in docs/LOGGING.md'


def main():
    problems = list(globals()['check_' + sys.argv[1]]())
    for p in problems:
        print(p)
    print(f'{len(problems)} problems')
    return 1 if problems else 0


sys.exit(main())

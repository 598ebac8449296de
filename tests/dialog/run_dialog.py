#!/usr/bin/env python3
"""run_dialog.py - plays .dlg files against a host (README.md has the language); by hand or from pytest."""
import argparse, os, socket, sys

DEADLINE = float(os.environ.get('MANSIO_DEADLINE', '30'))


class Mismatch(AssertionError):
    pass


def unescape(text):
    out, i = bytearray(), 0
    table = {'r': b'\r', 'n': b'\n', 't': b'\t', '0': b'\0', '\\': b'\\'}
    while i < len(text):
        if text[i] != '\\':
            out += text[i].encode('utf-8')
            i += 1
        elif text[i + 1] == 'x':
            out.append(int(text[i + 2:i + 4], 16))
            i += 4
        else:
            out += table[text[i + 1]]
            i += 2
    return bytes(out)


def match(text, pattern):
    parts = pattern.split('*')
    if len(parts) == 1:
        return text == pattern
    if not text.startswith(parts[0]) or not text.endswith(parts[-1]):
        return False
    at = len(parts[0])
    for part in parts[1:-1]:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return at <= len(text) - len(parts[-1])


class Dialog:
    """A parsed file: options and steps (line number, kind, argument)."""

    def __init__(self, path):
        self.path, self.own, self.sync, self.only_engine, self.steps = str(path), False, False, False, []
        with open(path, encoding='utf-8') as f:
            for number, line in enumerate(f, 1):
                line = line.rstrip('\n')
                if line and not line.startswith('#'):
                    self.parse(number, line)

    def parse(self, number, line):
        word, rest = line[:2], line[2:]
        rest = rest[1:] if rest.startswith(' ') else rest
        if line.startswith('='):
            known = {'=client own': 'own', '=sync': 'sync', '=only engine': 'only_engine', '=crowded': 'only_engine', '=client stranger': None}
            if line not in known:
                raise Mismatch(f'{self.path}:{number}: unknown option')
            if known[line]:
                setattr(self, known[line], True)
        elif word == 'C:':
            self.steps.append((number, 'send', rest.encode('utf-8') + b'\r\n'))
        elif word == 'C>':
            self.steps.append((number, 'send', unescape(rest)))
        elif word == 'C*':
            count, text = rest.split(' ', 1)
            self.steps.append((number, 'send', unescape(text) * int(count)))
        elif word in ('S:', 'R:', 'E:'):
            self.steps.append((number, {'S:': 'line', 'R:': 'reply', 'E:': 'end'}[word], rest))
        else:
            raise Mismatch(f'{self.path}:{number}: unknown directive')


class Connection:
    def __init__(self, host, port, source=None):
        self.s = socket.create_connection((host, port), DEADLINE, (source, 0) if source else None)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b''

    def send(self, data, piece):
        """True when the server took it; it may close before it has read everything."""
        try:
            for at in range(0, len(data), piece or len(data) or 1):
                self.s.sendall(data[at:at + (piece or len(data))])
        except ConnectionError:
            pass

    def line(self):
        while b'\n' not in self.buf:
            try:
                got = self.s.recv(65536)
            except ConnectionError:
                got = b''
            if not got:
                return None
            self.buf += got
        line, self.buf = self.buf.split(b'\n', 1)
        return line.rstrip(b'\r').decode('latin-1')

    def closed(self):
        """True at the end of the connection; anything that still comes is kept for the message."""
        self.s.settimeout(DEADLINE)
        try:
            got = self.s.recv(65536)
        except TimeoutError:
            return False
        except ConnectionError:
            got = b''
        self.buf += got
        return not self.buf


def play(dialog, host, port, source=None, piece=0):
    """Raises Mismatch with file:line when the server says anything else than the dialog. piece: bytes per write."""
    c = Connection(host, port, source)
    steps, i, ended = dialog.steps + [(0, 'send', b'QUIT\r\n'), (0, 'line', '221 *')], 0, False
    try:
        while i < len(steps) and not ended:
            group = b''
            while i < len(steps) and steps[i][1] == 'send':
                group += steps[i][2]
                i += 1
            if group:
                c.send(group, 0 if dialog.sync else piece)
            while i < len(steps) and steps[i][1] != 'send':
                number, kind, pattern = steps[i]
                ended = kind == 'end'
                expect(c, f'{dialog.path}:{number}', kind, pattern)
                i += 1
                if ended:
                    break
    except TimeoutError:
        raise Mismatch(f'{dialog.path}: no reply within {DEADLINE:.0f} s')
    finally:
        c.s.close()


def expect(c, where, kind, pattern):
    if kind == 'end':
        if not c.closed():
            raise Mismatch(f'{where}: the connection is still open; {c.buf!r}')
        return
    line = c.line()
    while kind == 'reply' and line and line[3:4] == '-':
        line = c.line()
    if line is None or not match(line, pattern):
        raise Mismatch(f'{where}: want "{pattern}", got {"the end" if line is None else chr(34) + line + chr(34)}')


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--host', default='127.0.0.1')
    p.add_argument('--port', type=int, default=25)
    p.add_argument('--own', default='127.0.0.1', help='address of a client of the own networks')
    p.add_argument('--stranger', default='127.0.0.2', help='address of a stranger')
    p.add_argument('--piece', type=int, default=0, help='bytes per write; 0: a whole group')
    p.add_argument('files', nargs='+')
    a = p.parse_args()
    failed = 0
    for path in a.files:
        d = Dialog(path)
        if d.only_engine:
            print(f'skip {path}: needs the fake cleanup')
            continue
        try:
            play(d, a.host, a.port, a.own if d.own else a.stranger, a.piece)
            print(f'ok   {path}')
        except Mismatch as e:
            failed += 1
            print(f'FAIL {e}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

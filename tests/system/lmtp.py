"""lmtp.py - an LMTP server of the test, on a Unix socket or TCP, that does as the test says."""
import os, socket, threading


class Lmtp:
    """with Lmtp('/path/to/socket') as s, or Lmtp(('127.0.0.1', port)): s.messages, s.sessions, s.wire

    rcpt, end: {address: reply, or a list of replies, one for each time}; die_after: so many replies to the end of a
    message, then the connection is closed (once); hang: nothing is ever said; rcpt_max: recipients of a transaction."""

    def __init__(self, where, rcpt=None, end=None, greeting='220 sink LMTP', lhlo=None, die_after=None, hang=False, rcpt_max=None,
                 capabilities=('PIPELINING', 'SIZE 50000000', '8BITMIME', 'ENHANCEDSTATUSCODES')):
        self.where, self.rcpt, self.end, self.greeting, self.lhlo = where, rcpt or {}, end or {}, greeting, lhlo
        self.die_after, self.hang, self.capabilities, self.rcpt_max = die_after, hang, capabilities, rcpt_max
        self.messages = []      # {'mail':..., 'rcpt': [...], 'taken': [...], 'data': bytes as on the wire, without the dot}
        self.sessions, self.open, self.open_most = 0, 0, 0
        self.reads = []         # what came in one piece
        self.cond = threading.Condition()
        self.conns = set()

    def __enter__(self):
        if isinstance(self.where, tuple):
            self.srv = socket.create_server(self.where, family=socket.AF_INET6 if ':' in self.where[0] else socket.AF_INET)
        else:
            self.srv = socket.socket(socket.AF_UNIX)
            self.srv.bind(str(self.where))
            os.chmod(self.where, 0o600)
            self.srv.listen(50)
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.srv.shutdown(socket.SHUT_RDWR)
        self.srv.close()
        for c in list(self.conns):
            c.close()
        if not isinstance(self.where, tuple):
            os.unlink(self.where)

    def accept(self):
        while True:
            try:
                conn, _ = self.srv.accept()
            except OSError:
                return
            with self.cond:
                self.sessions += 1
                self.open += 1
                self.open_most = max(self.open, self.open_most)
                self.conns.add(conn)
                self.cond.notify_all()
            threading.Thread(target=self.session, args=(conn,), daemon=True).start()

    def session(self, conn):
        try:
            if not self.hang:
                self.talk(conn)
            else:
                while conn.recv(65536):
                    pass
        except OSError:
            pass
        with self.cond:
            self.open -= 1
            self.conns.discard(conn)
        conn.close()

    @staticmethod
    def next_of(table, address, good):
        reply = table.get(address, good)
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else good
        return reply

    def talk(self, conn):
        buf = b''

        def say(text):
            conn.sendall(text.encode('latin-1') + b'\r\n')

        def line():
            nonlocal buf
            while b'\r\n' not in buf:
                got = conn.recv(1 << 20)
                if not got:
                    raise OSError('end')
                with self.cond:
                    self.reads.append(got)
                buf += got
            head, buf = buf.split(b'\r\n', 1)
            return head

        say(self.greeting)
        tx = {}
        while True:
            text = line().decode('latin-1')
            verb = text[:4].upper()
            if verb == 'LHLO':
                if self.lhlo:
                    say(self.lhlo)
                    continue
                caps = ['sink', *self.capabilities]
                for i, c in enumerate(caps):
                    say(f'250{"-" if i < len(caps) - 1 else " "}{c}')
            elif verb == 'MAIL':
                tx = {'mail': text, 'rcpt': []}
                say('250 2.1.0 ok')
            elif verb == 'RCPT':
                addr = text[text.index('<') + 1:text.index('>')]
                reply = self.next_of(self.rcpt, addr, '250 2.1.5 ok')
                if self.rcpt_max and len(tx['rcpt']) == self.rcpt_max:
                    reply = '452 4.5.3 too many recipients'
                if reply[0] == '2':
                    tx['rcpt'].append(addr)
                say(reply)
            elif verb == 'DATA' and not tx.get('rcpt'):
                say('503 5.5.1 no valid recipients')
            elif verb == 'DATA':
                say('354 go')
                data = []
                while (got := line()) != b'.':
                    data.append(got)
                tx['data'] = b''.join(x + b'\r\n' for x in data)
                tx['taken'] = []
                for n, addr in enumerate(tx['rcpt']):
                    if self.die_after == n:
                        self.die_after = None
                        self.note(tx)
                        raise OSError('as the test wants')
                    reply = self.next_of(self.end, addr, '250 2.0.0 stored')
                    if reply[0] == '2':
                        tx['taken'].append(addr)
                    if n == len(tx['rcpt']) - 1:
                        self.note(tx)
                    say(reply)
                tx = {}
            elif verb == 'RSET':
                tx = {}
                say('250 2.0.0 ok')
            elif verb == 'QUIT':
                say('221 2.0.0 bye')
                return
            else:
                say('500 5.5.1 what')

    def note(self, tx):
        with self.cond:
            self.messages.append(dict(tx))
            self.cond.notify_all()

    def taken(self):
        """Everybody who got something, once per message."""
        with self.cond:
            return sorted(a for m in self.messages for a in m['taken'])

    def wait(self, what, check, deadline=30):
        with self.cond:
            assert self.cond.wait_for(check, deadline), f'{what}: {self.messages}'

"""The scripts of a Redis store: each is one step, which Redis carries out whole or not at all.

A log is two keys with one hash tag. ``KEYS[1]`` is a hash: ``epoch``; ``writer``, the store that writes it;
``number``, which log that store began with it; ``head``, and ``first`` of the batch that ends there;
``evicted``, ``base`` and ``base_size``; ``size`` of the records behind ``evicted``; ``start`` and
``standing``; ``created`` (µs), for the order; ``until`` (ms), when both keys expire. ``KEYS[2]`` is a stream.
An entry's id is ``LAST-COUNT``: the seq of its last record and how many it has, so that XRANGE from a seq
begins with the entry that has it. Its fields are ``t``, when it was appended (ms), and ``d``, its packed
records. ``evicted`` may lie inside of an entry, which then stays for the rest of its records.

What follows a log subscribes to its channel, where each message is ``HEAD EPOCH``, or empty if the log is
gone.
"""

import hashlib


class Script:
    """A script and the name by which Redis knows it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_WHEN_FULL = "#!lua flags=allow-oom"
"""How a script begins that is carried out though the server's memory is full."""

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_CREATE = """
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'start', ARGV[2], 'head', 0, 'first', 0, 'evicted', 0,
    'size', 0, 'base_size', 0, 'until', 0, 'writer', ARGV[5], 'number', ARGV[6],
    'created', time[1] .. string.format('%06d', time[2]))
redis.call('PEXPIREAT', KEYS[1], now + ARGV[3])
redis.call('PUBLISH', ARGV[4], '0 ' .. ARGV[1])
"""

CREATE = Script(
    _NOW
    + """
if ARGV[7] ~= '' and redis.call('GET', ARGV[7]) ~= ARGV[8] then return -1 end
local known = redis.call('HMGET', KEYS[1], 'epoch', 'writer', 'number')
if known[1] == ARGV[1] then return end  -- asked for again, or long ago
if known[2] == ARGV[5] and tonumber(known[3] or 0) > tonumber(ARGV[6]) then return end  -- it was given up
"""
    + _CREATE
)
"""Begin an empty log, in place of one of another epoch. Returns ``FENCED`` if another store has the prefix.
Arguments: epoch, start, lease (ms), channel, writer, a number that grows with each log that the writer
begins, and the key and the value by which this store has the prefix; an empty key asks for neither."""

CREATE_AGAIN = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 1 then return end
if ARGV[7] ~= '' and redis.call('GET', ARGV[7]) ~= ARGV[8] then return -1 end
"""
    + _NOW
    + _CREATE
)
"""Begin an empty log where there is none; as ``CREATE``."""

FENCED, GAP = -1, -2

_APPEND = (
    """
local known = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'first', 'evicted', 'size', 'base_size', 'until',
    'writer')
if known[1] ~= ARGV[1] or known[8] ~= ARGV[11] then return {-1} end
local head, evicted, size = tonumber(known[2]), tonumber(known[4]), tonumber(known[5])
local first, last = tonumber(ARGV[2]), tonumber(ARGV[3])
if first ~= head + 1 then
    if last == head and first == tonumber(known[3]) then  -- it was taken, and the answer got lost
        return {head, evicted, size, tonumber(known[6])}
    end
    return {-2, head}
end
"""
    + _NOW
    + """
if last >= first then
    for i = 12, #ARGV, 2 do
        redis.call('XADD', KEYS[2], ARGV[i], 't', now, 'd', ARGV[i + 1])
    end
    size = size + ARGV[4]
    redis.call('HSET', KEYS[1], 'head', last, 'first', first, 'size', size)
    redis.call('PUBLISH', ARGV[6], ARGV[3] .. ' ' .. ARGV[1])
end
if ARGV[7] == '1' then redis.call('HSET', KEYS[1], 'standing', ARGV[8]) end
if ARGV[9] == '1' then redis.call('HSET', KEYS[1], 'start', ARGV[10]) end
local lease = tonumber(ARGV[5])
if known[7] - now < lease * 0.75 then
    redis.call('HSET', KEYS[1], 'until', now + lease)
    redis.call('PEXPIREAT', KEYS[1], now + lease)
    redis.call('PEXPIREAT', KEYS[2], now + lease)
end
return {last, evicted, size, tonumber(known[6])}
"""
)

APPEND = Script(_APPEND)
"""Append a batch. Returns ``[head, evicted, size, base_size]``, ``[FENCED]`` or ``[GAP, head]``.

Arguments: epoch, first and last seq, size of the records, lease (ms), channel, ``1`` if there is a standing,
the standing, the same two of a start, writer, and of each entry its id and its packed records.
"""

STAND = Script(_WHEN_FULL + _APPEND)
"""The same for a batch without records, such as that of a run that is to go: a full server takes it, too."""

READ = Script(
    _NOW
    + """
local known = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'evicted')
if not known[1] then return false end
local base = false
if ARGV[4] == '1' then base = redis.call('HGET', KEYS[1], 'base') end
local after, limit, room = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local head, evicted = tonumber(known[2]), tonumber(known[3])
if after < 0 then after = evicted end
local found = {known[1], head, evicted, now, base}
if after < evicted or after >= head or limit <= 0 then return found end
local from = tostring(after + 1)
while true do
    local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 8)
    if #entries == 0 then return found end
    for _, entry in ipairs(entries) do
        local id, fields = entry[1], entry[2]
        found[#found + 1] = id
        found[#found + 1] = fields[2]
        found[#found + 1] = fields[4]
        room = room - #fields[4]
        if room <= 0 or tonumber(string.match(id, '^%d+')) >= after + limit then return found end
        from = '(' .. id
    end
end
"""
)
"""Read entries. Returns ``[epoch, head, evicted, now (ms), base, *(id, t, d of each)]``; None of no log.

Arguments: the seq behind which they begin (below 0 for ``evicted``), how many records are wanted, about how
many bytes, and ``1`` if the base is wanted.
"""

FOLD = Script(
    _WHEN_FULL
    + """
local known = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'evicted', 'size')
if known[1] ~= ARGV[1] or known[3] ~= ARGV[2] then return false end
local evicted, size, base_size = tonumber(ARGV[3]), known[4] - ARGV[4], tonumber(ARGV[6])
redis.call('HSET', KEYS[1], 'evicted', evicted, 'size', size, 'base', ARGV[5], 'base_size', base_size)
redis.call('XTRIM', KEYS[2], 'MINID', '=', evicted + 1)
return {tonumber(known[2]), evicted, size, base_size}
"""
)
"""Put what the oldest records fold to in their place. Returns ``[head, evicted, size, base_size]``.

None if the log is another one, or was folded meanwhile. Arguments: epoch, ``evicted`` as it was and as it is
now, size of the folded records, the base, its size.
"""

CLAIM = Script(
    _WHEN_FULL
    + """
if ARGV[5] ~= '' and redis.call('GET', ARGV[5]) ~= ARGV[6] then return -1 end
local known = redis.call('HMGET', KEYS[1], 'epoch', 'writer', 'head', 'evicted', 'size', 'base_size')
if not known[1] then return false end
if known[1] ~= ARGV[2] or known[2] ~= ARGV[4] then  -- else it is asked for again
    if known[1] ~= ARGV[1] then return -1 end
    redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'writer', ARGV[4])
    if ARGV[1] ~= ARGV[2] then redis.call('PUBLISH', ARGV[3], known[3] .. ' ' .. ARGV[2]) end
end
return {tonumber(known[3]), tonumber(known[4]), tonumber(known[5]), tonumber(known[6])}
"""
)
"""Give a log another writer, and another epoch perhaps; returns ``[head, evicted, size, base_size]``, None if
there is none, ``FENCED`` if it has another epoch than was thought, or another store has the prefix.

Arguments: the epoch that it has, the one that it gets, channel, writer, and the key and the value by which
this store has the prefix; an empty key asks for neither.
"""

RENEW = Script(
    _WHEN_FULL
    + _NOW
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'until', now + ARGV[1])
redis.call('PEXPIREAT', KEYS[1], now + ARGV[1])
redis.call('PEXPIREAT', KEYS[2], now + ARGV[1])
return 1
"""
)
"""Let a log expire later; returns 0 if there is none. Arguments: when (ms from now)."""

DELETE = Script(
    """
local known = redis.call('HMGET', KEYS[1], 'epoch', 'writer')
if ARGV[1] ~= '' and known[1] ~= ARGV[1] or ARGV[3] ~= '' and known[2] ~= ARGV[3] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[2], '')
return 1
"""
)
"""Delete a log, only one of that epoch and writer where these are not empty. Arguments: epoch, channel,
writer."""

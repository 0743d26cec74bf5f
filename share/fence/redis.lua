-- Fencing in Redis: a write that is refused when a greater token was there. The check and the write are one script, so nothing
-- comes in between.
--
--   SCRIPT LOAD "$(cat redis.lua)"
--   EVALSHA <sha> 2 fence:billing orders:7 90344 SET <value> [more words of the command]
--
-- KEYS[1] holds the greatest token; KEYS[2] is what is written (both in one slot of a cluster: {billing}:fence, {billing}:7).
-- ARGV[1] is the writer's token (TENURE_TOKEN, tenure_lock_token), ARGV[2] the command, which is called with KEYS[2] and the words
-- behind. Answers what the command does; a smaller token is an error that begins with FENCED, and nothing was written.
--
-- Tokens are compared as text: Lua's numbers have 53 bits, tokens 63. As durable as Redis is told to be (appendfsync always), and a
-- failover that loses writes loses the greatest token as well: then the fence has a hole.

local function is_token(s)
    return s and #s <= 19 and string.match(s, '^[1-9]%d*$') ~= nil
end

local token = ARGV[1]
if not is_token(token) or #KEYS ~= 2 or not ARGV[2] then
    return redis.error_reply('ERR expected 2 keys (fence, data) and the arguments TOKEN COMMAND [ARGUMENT ...]')
end
local seen = redis.call('GET', KEYS[1])
if seen and not is_token(seen) then
    return redis.error_reply('ERR ' .. KEYS[1] .. ' holds no token')
end
if seen and (#seen > #token or (#seen == #token and seen > token)) then
    return redis.error_reply('FENCED ' .. KEYS[1] .. ' has seen token ' .. seen .. ', and ' .. token ..
                             ' is smaller: somebody else holds the lock since then')
end
if seen ~= token then
    redis.call('SET', KEYS[1], token)
end
return redis.call(ARGV[2], KEYS[2], unpack(ARGV, 3))

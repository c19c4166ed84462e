-- The action `lua.keybound`: asks the decision point about a request, and answers for it where it says no.
-- Goes beside haproxy.cfg, which says where the decision point is.

local asked = {
    "authorization", "dpop", "early-data", "origin", "access-control-request-method", "access-control-request-headers",
}
local identity = { "keybound-issuer", "keybound-subject", "keybound-client-id", "keybound-scope", "keybound-jkt" }
-- Fields of the answer that are for the connection between us and the decision point.
local hop = { ["connection"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true, ["content-length"] = true }

-- The lines of one field, in their order; a table counts from 0 or from 1.
local function lines(fields, name)
    local all = {}
    local field = fields[name]
    if field then
        for index = 0, #field do
            if field[index] ~= nil then all[#all + 1] = field[index] end
        end
    end
    return all
end

local function answer(txn, status, fields, body)
    local reply = txn:reply({ status = status })
    for name, _ in pairs(fields) do
        if not hop[name] then
            for _, line in ipairs(lines(fields, name)) do reply:add_header(name, line) end
        end
    end
    if body and #body > 0 then reply:set_body(body) end
    txn:done(reply)
end

core.register_action("keybound", { "http-req" }, function(txn)
    local sent = txn.http:req_get_headers()
    local question = {
        ["host"] = { txn:get_var("proc.keybound_decision") },
        ["x-original-method"] = { txn.sf:method() },
        ["x-original-uri"] = { txn.sf:pathq() },
        ["x-original-host"] = lines(sent, "host"),
    }
    for _, name in ipairs(asked) do
        local all = lines(sent, name)
        if #all > 0 then question[name] = all end
    end
    local url = "http://" .. txn:get_var("proc.keybound_decision") .. "/check"
    local said = core.httpclient():get({ url = url, headers = question, timeout = 5000 })
    local fields = said and said.headers or {}

    if not said or said.status == 0 or said.status == nil then
        -- Nobody decides, so nothing passes.
        answer(txn, 503, { ["retry-after"] = { "5" }, ["cache-control"] = { "no-store" } }, nil)
    elseif said.status == 200 then
        txn:set_var("txn.keybound_yes", true)
        for _, name in ipairs(identity) do
            local value = lines(fields, name)[1]
            if value then txn.http:req_set_header(name, value) end
        end
        local nonce = lines(fields, "dpop-nonce")[1]
        if nonce then txn:set_var("txn.keybound_nonce", nonce) end
        local origin = lines(fields, "access-control-allow-origin")[1]
        if origin then
            txn:set_var("txn.keybound_cors_origin", origin)
            txn:set_var("txn.keybound_cors_expose", lines(fields, "access-control-expose-headers")[1])
        end
    else
        answer(txn, said.status, fields, said.body)
    end
end)

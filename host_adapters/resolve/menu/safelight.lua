-- Safelight in the menu Workspace > Scripts of DaVinci Resolve: the shot under the playhead, back as a take.
-- Written by 'safelight resolve install', for editions that run no Python. The engine is a process of its own.

local PYTHON = "@PYTHON@"
local ARGUMENTS = "@ARGUMENTS@"
local FOLDER = "Safelight"

local function say(text)
  print("Safelight: " .. text)
end

local function fail(text)
  error({ text = text })
end

local function quoted(text)
  return '"' .. text .. '"'
end

-- An answer that must be an object or a value; nil and false stop the job.
local function need(value, what)
  if value == nil or value == false then
    fail("Resolve answered " .. tostring(value) .. " to " .. what)
  end
  return value
end

local function whole(value, what)
  if type(value) ~= "number" then
    fail("Resolve answered " .. tostring(value) .. " to " .. what)
  end
  return math.floor(value + 0.5)
end

-- Run the engine with the facts of a shot; return what it answers.
local function restore(facts)
  local request = os.tmpname()
  local file = assert(io.open(request, "w"))
  for name, value in pairs(facts) do
    file:write(name, "=", tostring(value):gsub("[\r\n]", " "), "\n")
  end
  file:close()
  local command = quoted(PYTHON) .. " -m safelight.host_adapters.cli.main resolve file " .. quoted(request) .. " " .. ARGUMENTS
  if package.config:sub(1, 1) == "\\" then
    command = quoted(command) -- cmd.exe takes one pair off
  end
  local answer = {}
  local pipe = assert(io.popen(command, "r"))
  for line in pipe:lines() do
    local name, value = line:match("^(%l+)=(.*)$")
    if name then
      answer[name] = value
    else
      say(line)
    end
  end
  pipe:close()
  os.remove(request)
  if answer.error then
    fail(answer.error)
  end
  if not answer.path then
    fail("the engine did not answer; does " .. PYTHON .. " still exist?")
  end
  return answer
end

local function find_folder(pool, undo)
  local root = need(pool:GetRootFolder(), "GetRootFolder")
  for _, folder in ipairs(need(root:GetSubFolderList(), "GetSubFolderList")) do
    if folder:GetName() == FOLDER then
      return folder
    end
  end
  local made = need(pool:AddSubFolder(root, FOLDER), "AddSubFolder")
  table.insert(undo, function()
    if #made:GetClipList() == 0 then
      pool:DeleteFolders({ made })
    end
  end)
  return made
end

local function bring_back(project, item, answer, duration, undo)
  local pool = need(project:GetMediaPool(), "GetMediaPool")
  local folder = find_folder(pool, undo)
  local previous = need(pool:GetCurrentFolder(), "GetCurrentFolder")
  need(pool:SetCurrentFolder(folder), "SetCurrentFolder")
  local first, last, start = tonumber(answer.first), tonumber(answer.last), tonumber(answer.start)
  local made = pool:ImportMedia({ { FilePath = answer.path, StartIndex = first, EndIndex = last } })
  pool:SetCurrentFolder(previous)
  local media = type(made) == "table" and made[1] or nil
  need(media, "ImportMedia")
  table.insert(undo, function()
    pool:DeleteClips({ media })
  end)
  if answer.space ~= "" then
    need(media:SetClipProperty("Input Color Space", answer.space), "SetClipProperty")
  end
  local count, selected = whole(item:GetTakesCount(), "GetTakesCount"), whole(item:GetSelectedTakeIndex(), "GetSelectedTakeIndex")
  local kept = math.max(count, 1)
  table.insert(undo, function()
    item:SelectTakeByIndex(math.max(selected, 1))
    for index = item:GetTakesCount(), kept + 1, -1 do
      item:DeleteTakeByIndex(index)
    end
  end)
  -- What AddTake answers differs between builds: the takes are counted instead.
  item:AddTake(media, start, start + duration - 1)
  local now = whole(item:GetTakesCount(), "GetTakesCount")
  if now ~= kept + 1 then
    fail("Resolve added no take")
  end
  need(item:SelectTakeByIndex(now), "SelectTakeByIndex")
  if whole(item:GetLeftOffset(), "GetLeftOffset") ~= start or whole(item:GetDuration(), "GetDuration") ~= duration then
    fail("Resolve put the take at another frame; it was taken back")
  end
  local frame, taken = 0, need(item:GetMarkers(), "GetMarkers")
  while taken[frame] do
    frame = frame + 1
  end
  need(item:AddMarker(frame, "Sand", "Safelight", "restored", 1, answer.mark), "AddMarker")
end

local function run()
  local project = need(resolve:GetProjectManager():GetCurrentProject(), "GetCurrentProject: is a project open?")
  local timeline = need(project:GetCurrentTimeline(), "GetCurrentTimeline: is a timeline open?")
  local item = need(timeline:GetCurrentVideoItem(), "GetCurrentVideoItem: is the playhead on a shot?")
  local media = need(item:GetMediaPoolItem(), "GetMediaPoolItem: titles and generators show no media")
  local facts = need(media:GetClipProperty(), "GetClipProperty")
  local rate = tonumber(timeline:GetSetting("timelineFrameRate")) or 24
  local duration = whole(item:GetDuration(), "GetDuration")
  local answer = restore({
    name = item:GetName(),
    item = item:GetUniqueId(),
    path = facts["File Path"] or "",
    frames = facts["Frames"] or 0,
    space = facts["Input Color Space"] or "",
    own_rate = facts["FPS"] or rate,
    rate = rate,
    duration = duration,
    offset = whole(item:GetLeftOffset(), "GetLeftOffset"),
    shown = whole(item:GetSourceEndFrame(), "GetSourceEndFrame") - whole(item:GetSourceStartFrame(), "GetSourceStartFrame") + 1,
  })
  local mark = need(item:GetMarkerByCustomData(answer.mark), "GetMarkerByCustomData")
  if next(mark) then
    return say("this shot was restored before; nothing was changed")
  end
  local undo = {}
  local good, problem = pcall(bring_back, project, item, answer, duration, undo)
  if not good then
    for index = #undo, 1, -1 do
      pcall(undo[index])
    end
    error(problem)
  end
  say("done: a take with " .. (tonumber(answer.last) - tonumber(answer.first) + 1) .. " frames, handles included")
end

local good, problem = pcall(run)
if not good then
  say("error: " .. (type(problem) == "table" and problem.text or tostring(problem)))
end

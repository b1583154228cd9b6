-- Which of the events that are judged there are on the spans that ended in [since, until), and in logs.
SELECT DISTINCT arrayJoin(arrayIntersect(Events.Name, ['browser.web_vital', 'exception', 'log'])) AS Event
FROM ${spans}
WHERE ${in_scope}
    AND hasAny(Events.Name, ['browser.web_vital', 'exception', 'log'])

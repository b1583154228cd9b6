-- Spans of some instances, as if the treated had another version.
SELECT * REPLACE (
    if(Instance IN (${treated}), ${version}, Version) AS Version,
    if(Instance IN (${treated}), '', Build) AS Build
)
FROM ${spans}
WHERE Instance IN (${instances})

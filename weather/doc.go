// Package weather fetches the hourly temperature and rain at the sites, where
// it is configured, for the forecast to use: from a CSV file, or from a URL that
// answers as Open-Meteo does. It is optional in every way: without it, or while
// it cannot be had, forecasts go on with what was known or without.
//
// The answer of the URL is JSON with an object hourly that holds the arrays
// time, temperature_2m (°C) and precipitation or rain (mm in the hour before),
// one element an hour; an element may be null. Times are Unix seconds, or local
// times as 2026-05-01T13:00 that are utc_offset_seconds ahead of UTC. See
// https://open-meteo.com/en/docs.
package weather

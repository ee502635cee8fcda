# Figures of R to hold kappa and intraclass correlation against: Rscript agreement.R writes agreement.json beside itself.
# Needs psych and jsonlite (Debian: r-cran-psych r-cran-jsonlite).
suppressPackageStartupMessages({library(psych); library(jsonlite)})
set.seed(20240502)

kappa_case <- function(n) {
  first <- sample(1:5, n, TRUE)
  second <- pmin(5, pmax(1, first + sample(-1:1, n, TRUE)))
  distance <- abs(outer(1:5, 1:5, "-"))
  linear <- cohen.kappa(cbind(first, second), w = 1 - distance / 4, levels = 1:5)
  quadratic <- cohen.kappa(cbind(first, second), w = 1 - distance^2 / 16, levels = 1:5)
  list(first = first, second = second,
       unweighted = list(kappa = linear$kappa, variance = linear$var.kappa),
       linear = list(kappa = linear$weighted.kappa, variance = linear$var.weighted),
       quadratic = list(kappa = quadratic$weighted.kappa, variance = quadratic$var.weighted))
}

icc_case <- function(n, k) {
  scores <- round(matrix(rnorm(n, 3, 1), n, k) + matrix(rnorm(n * k, 0, 0.6), n, k) + rep(c(0, 0.3, -0.2)[1:k], each = n), 2)
  found <- ICC(scores, lmer = FALSE)$results
  list(scores = scores,
       single = unlist(found[2, c("ICC", "lower bound", "upper bound", "F", "p")], use.names = FALSE),
       average = unlist(found[5, c("ICC", "lower bound", "upper bound")], use.names = FALSE))
}

result <- list(kappa = list(kappa_case(30), kappa_case(100)), icc = list(icc_case(12, 2), icc_case(40, 3)),
               versions = list(R = R.version.string, psych = as.character(packageVersion("psych"))))
script <- sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))
write_json(result, file.path(dirname(script), "agreement.json"), digits = NA, auto_unbox = TRUE)

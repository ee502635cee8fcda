# Figures of R to hold f2vbench.stats against: Rscript reference.R writes reference.json beside itself.
# Needs pROC, exactRankTests and jsonlite (Debian: r-cran-proc r-cran-exactranktests r-cran-jsonlite).
suppressPackageStartupMessages({library(pROC); library(exactRankTests); library(jsonlite)})
set.seed(20240501)

delong_case <- function(n, shift, ties) {
  labels <- rep(c(0, 1), c(n - n %/% 3, n %/% 3))
  first <- labels * shift + rnorm(n)
  second <- 0.6 * first + 0.4 * labels + rnorm(n)
  if (ties) { first <- round(first); second <- round(2 * second) / 2 }
  first <- round(first, 6); second <- round(second, 6)
  a <- roc(labels, first, direction = "<", quiet = TRUE)
  b <- roc(labels, second, direction = "<", quiet = TRUE)
  test <- roc.test(a, b, method = "delong", paired = TRUE)
  half <- seq_len(n) %% 2 == 0
  c1 <- roc(labels[half], first[half], direction = "<", quiet = TRUE)
  c2 <- roc(labels[!half], second[!half], direction = "<", quiet = TRUE)
  apart <- roc.test(c1, c2, method = "delong", paired = FALSE)
  list(labels = labels, first = first, second = second,
       auroc = c(auc(a), auc(b)), interval = ci.auc(a, method = "delong")[c(1, 3)],
       variance = c(var(a, method = "delong"), var(b, method = "delong")),
       covariance = cov(a, b, method = "delong"),
       z = unname(test$statistic), p = test$p.value, test_interval = test$conf.int[1:2],
       apart = unname(apart$statistic))
}

signed_rank_case <- function(first, second, plain) {
  found <- wilcox.exact(first, second, paired = TRUE, conf.int = FALSE)
  result <- list(first = first, second = second, statistic = unname(found$statistic), p = found$p.value)
  if (plain) {  # without ties and zeros, R's own interval is exact too
    whole <- wilcox.test(first, second, paired = TRUE, exact = TRUE, conf.int = TRUE)
    result$interval <- whole$conf.int[1:2]
    result$pseudomedian <- unname(whole$estimate)
  }
  result
}

t_case <- function(n, m) {
  first <- round(rnorm(n, 0.9, 0.03), 4); second <- round(rnorm(m, 0.88, 0.02), 4)
  welch <- t.test(first, second)
  result <- list(first = first, second = second, welch = welch$p.value, welch_interval = welch$conf.int[1:2])
  if (n == m) {
    paired <- t.test(first, second, paired = TRUE)
    result$paired <- paired$p.value
    result$paired_interval <- paired$conf.int[1:2]
    # Interval of d_z: noncentralities at which the t seen is a 2.5 % and a 97.5 % point.
    t <- unname(paired$statistic)
    end <- function(share) uniroot(function(shift) pt(t, n - 1, shift) - share, c(-30, 30), tol = 1e-12)$root / sqrt(n)
    result$d_z <- t / sqrt(n); result$d_z_interval <- c(end(0.975), end(0.025))
    result$signs <- perm.test(round(1e4 * first), round(1e4 * second), paired = TRUE, exact = TRUE)$p.value
  }
  result
}

scores <- round(matrix(rnorm(48, 0.8, 0.05), 12, 4) + rep(c(0, 0, 0.02, 0.08), each = 12), 2)
friedman <- friedman.test(scores)
ranks <- colMeans(t(apply(-scores, 1, rank)))
gap <- abs(outer(ranks, ranks, "-")) / sqrt(4 * 5 / (6 * 12))
p <- c(0.04, 0.001, 0.03, 0.2, 0.011, 0.011)

write_json(list(
  made_by = c(R.version.string, sapply(c("pROC", "exactRankTests"), function(x) paste(x, packageVersion(x)))),
  delong = list(delong_case(24, 1, FALSE), delong_case(90, 1.5, FALSE), delong_case(60, 1, TRUE)),
  signed_rank = list(
    signed_rank_case(round(rnorm(12, 0.3), 5), round(rnorm(12), 5), TRUE),
    signed_rank_case(round(rnorm(40, 0.3), 6), round(rnorm(40), 6), TRUE),
    signed_rank_case(c(3, 5, 2, 7, 9, 4, 4, 8, 6, 1), c(1, 5, 1, 5, 8, 5, 2, 6, 5, 3), FALSE),
    signed_rank_case(c(0.5, 0.6, 0.7, 0.8, 0.9), c(0.1, 0.3, 0.6, 0.4, 0.2), FALSE)),
  t = list(t_case(5, 5), t_case(12, 12), t_case(6, 9)),
  ranks = list(scores = scores, average = ranks, statistic = unname(friedman$statistic), p = friedman$p.value,
               nemenyi = ptukey(gap * sqrt(2), 4, Inf, lower.tail = FALSE),
               critical_difference = qtukey(0.95, 2:10, Inf) / sqrt(2) * sqrt((2:10) * (3:11) / (6 * 14))),
  corrections = list(p = p, holm = p.adjust(p, "holm"), bh = p.adjust(p, "BH")),
  power = list(effect = c(0.4, 0.8, 1.5),
               pairs = sapply(c(0.4, 0.8, 1.5), function(d)
                 power.t.test(delta = d, power = 0.8, type = "paired", strict = TRUE)$n),
               each = sapply(c(0.4, 0.8, 1.5), function(d) power.t.test(delta = d, power = 0.8, strict = TRUE)$n))
), "reference.json", digits = I(15), auto_unbox = TRUE, pretty = FALSE)
